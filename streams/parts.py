"""What the agents hold that has to be opened first: the store and the publisher of jobs."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial

from activity.errors import SettingError
from activity.jobs import Job
from activity.rules import Rules, parse_rules
from activity.settings import PREFIX, Settings
from agents.failpoints import failpoint
from rabbit.outage import quiet_libraries
from rabbit.publisher import Publisher
from rabbit.templates import Templates, expression
from rabbit.topology import declare
from store.log import ActivityLog, Appended, Entry
from store.opening import open_store

Opener = Callable[[AsyncExitStack], Awaitable[None]]
"""Opens a part and leaves its closing to the stack. Raises ChoparError when it can't be opened."""


class StorePart:
    """The activity log in the store, open while the worker runs."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.store_url
        self._log: ActivityLog

    async def open(self, stack: AsyncExitStack) -> None:
        store = await stack.enter_async_context(open_store(self._url))
        self._log = store.log

    async def append(self, entries: Sequence[Entry]) -> Appended:
        """As `ActivityLog.append`."""
        return await self._log.append(entries)


class JobsPart:
    """The confirmed publisher, open while the notifier runs."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.rabbit_url
        self._publisher: Publisher

    async def open(self, stack: AsyncExitStack) -> None:
        if self._url is None:
            raise SettingError(
                f"{PREFIX}RABBIT_URL",
                "is not set and no `chopar up` runs here, or it is not ready yet; start it, or set amqp://…",
            )
        quiet_libraries()
        await declare(self._url)
        self._publisher = await stack.enter_async_context(
            Publisher(self._url, confirmed=partial(failpoint, "notifier.confirming"))
        )

    async def publish(self, jobs: Sequence[Job]) -> None:
        """As `JobPublisher.publish`."""
        await self._publisher.publish(jobs)


def read_rules(settings: Settings) -> Rules:
    """The rules and templates that the settings name. Raises SettingError that names file and line of what is wrong."""
    try:
        text = settings.rules.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{PREFIX}RULES", f"can't read {settings.rules} ({error})") from None
    return parse_rules(text, str(settings.rules), expression, Templates(settings.templates).names)

"""What the agents hold that has to be opened first: the store, the table's states, the publisher of jobs."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

from activity import names
from activity.dead import DeadLetter
from activity.errors import SettingError
from activity.jobs import Job
from activity.rules import Rules, parse_rules
from activity.settings import PREFIX, Settings
from rabbit.failpoints import failpoint
from rabbit.letters import Letter
from rabbit.outage import quiet_libraries
from rabbit.publisher import Publisher
from rabbit.templates import Templates, expression
from rabbit.topology import declare
from store.log import Entry
from store.opening import Store, open_store
from store.together import Together
from streams.identity import topic_identity
from tables.states import MemoryShelf

if TYPE_CHECKING:
    from tables.disk import DiskShelf

Opener = Callable[[AsyncExitStack], Awaitable[None]]
"""Opens a part and leaves its closing to the stack. Raises ChoparError when it can't be opened."""


class StorePart:
    """The store, open while the worker runs."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.store_url
        self.store: Store
        self._log: Together

    async def open(self, stack: AsyncExitStack) -> None:
        self.store = await stack.enter_async_context(open_store(self._url))
        self._log = Together(self.store.log.append)
        stack.push_async_callback(self._log.finished)

    async def append(self, entries: Sequence[Entry]) -> list[Entry]:
        """As `Together.append`."""
        return await self._log.append(entries)

    async def take(self, letters: Sequence[DeadLetter]) -> None:
        """As `DeadLetters.take`."""
        await self.store.letters.take(letters)


class StatesPart:
    """Where the states of the table live, as the setting says; open while the worker runs."""

    def __init__(self, settings: Settings) -> None:
        """Raises SettingError when the setting asks for a package that is not installed."""
        self._settings = settings
        self.shelf = MemoryShelf() if settings.table_store == "memory" else _disk_shelf(settings)

    async def open(self, stack: AsyncExitStack) -> None:
        if not isinstance(self.shelf, MemoryShelf):
            self.shelf.start(await topic_identity(self._settings, names.USERS_CHANGELOG))
            stack.callback(self.shelf.stop)


def _disk_shelf(settings: Settings) -> "DiskShelf":
    try:
        from tables.disk import DiskShelf  # only here: its package is an extra
    except ImportError as error:
        problem = f"rocksdb needs the package rocksdict ({error}); `pip install 'chopar[rocksdb]'`, or use memory"
        raise SettingError(f"{PREFIX}TABLE_STORE", problem) from None
    return DiskShelf(settings.data_dir / names.APP / "states")


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

    async def deliver(self, letters: Sequence[Letter]) -> None:
        """As `Outbox.deliver`."""
        await self._publisher.deliver(letters)


def read_rules(settings: Settings) -> Rules:
    """The rules and templates that the settings name. Raises SettingError that names file and line of what is wrong."""
    try:
        text = settings.rules.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{PREFIX}RULES", f"can't read {settings.rules} ({error})") from None
    templates = Templates(settings.templates)
    return parse_rules(text, str(settings.rules), expression, templates.names, settings.unsubscribe_url)


class CurrentRules:
    """The rules as their files are now; read again when one has changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._read: tuple[list[int], Rules] | None = None

    def read(self) -> Rules:
        """Raises SettingError that names file and line of what is wrong."""
        files = (self._settings.rules, self._settings.templates)
        changed = [file.stat().st_mtime_ns if file.exists() else 0 for file in files]
        if self._read is None or self._read[0] != changed:
            self._read = changed, read_rules(self._settings)
        return self._read[1]

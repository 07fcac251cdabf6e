"""`chopar jobs --follow`: each change of a job as it happens."""

from typing import TYPE_CHECKING, Any

import msgspec

from activity.errors import SettingError
from activity.events import rfc3339
from activity.jobs import JobState
from chopar.terminal import moment, printable, say, write_json

if TYPE_CHECKING:
    from rabbit.lifecycle import Change


class Wanted(msgspec.Struct, frozen=True):
    """Which changes; None: all."""

    job: str | None = None
    state: JobState | None = None
    user: str | None = None

    def has(self, change: "Change") -> bool:
        """Whether `change` is one of them."""
        return self.job in (None, change.job) and self.state in (None, change.state) and self.user in (None, change.user)


async def follow_changes(wanted: Wanted, as_json: bool) -> None:
    """Prints a line for each until it is cancelled. An outage of RabbitMQ is told on stderr when it begins and when it ends."""
    from brokers.discovery import read_settings
    from rabbit.following import changes
    from rabbit.outage import Outage

    url = read_settings().rabbit_url
    if url is None:
        raise SettingError("CHOPAR_RABBIT_URL", "is not set, and no `chopar up` runs here; set it or start `chopar up`")
    if not as_json:
        say("listening; stop it with Ctrl-C")
    async for change in changes(url, Outage("RabbitMQ")):
        if not wanted.has(change):
            continue
        if as_json:
            write_json(document(change))
        else:
            print(line(change), flush=True)  # noqa: T201 - it is what was asked for


def document(change: "Change") -> dict[str, Any]:
    """A change as JSON."""
    due = None if change.due is None else rfc3339(change.due)
    return {**msgspec.to_builtins(change), "time": rfc3339(change.time), "due": due}


def line(change: "Change") -> str:
    """A change for people."""
    about = "" if change.due is None else f"due {moment(rfc3339(change.due))}"
    words = (change.rule, change.user, f"attempt {change.attempt}" if change.attempt else "", about, change.reason)
    return "  ".join(printable(word) for word in (moment(rfc3339(change.time)), f"{change.state:<9}", change.job, *words) if word)

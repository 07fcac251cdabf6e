"""What the overview knows of everything at one moment. What can't be asked is None, and `problems` says why."""

from collections.abc import Mapping, Sequence

import msgspec

from activity.accounts import Verdict
from activity.jobs import JobState
from activity.pace import Reader, Topic
from console.tables import Share
from rabbit.depths import Depth
from rabbit.management import Unseen
from rabbit.status import Status
from rabbit.wiring import Wiring
from store.deadletters import LetterGroup


class Books(msgspec.Struct, frozen=True):
    """What the store says."""

    jobs: Mapping[JobState, int]
    groups: Sequence[LetterGroup]
    audit: Verdict | None

    @property
    def open_letters(self) -> int:
        """Dead letters that wait for a person."""
        return sum(group.open for group in self.groups)


class Snapshot(msgspec.Struct, frozen=True):
    """`problems`: by the name of who could not be asked. What is neither known nor a problem is still being asked.

    `waiting`: events at all workers; None: one of them is `away`, which has the problem by the worker's address.
    """

    now: float
    readers: Sequence[Reader] | None = None
    topics: Sequence[Topic] | None = None
    queues: Mapping[str, Depth] | None = None
    wiring: Wiring | Unseen | None = None
    mailers: Sequence[Status] | None = None
    books: Books | None = None
    shares: Sequence[Share] | None = None
    waiting: int | None = None
    away: Mapping[str, str] = {}
    problems: Mapping[str, str] = {}

    def readers_of(self, topic: str) -> list[str]:
        """The agents that read it."""
        return [one.agent for one in self.readers or () if one.topic == topic]

    def reader(self, agent: str) -> Reader | None:
        """The agent's reader."""
        return next((one for one in self.readers or () if one.agent == agent), None)

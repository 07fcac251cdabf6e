"""Stand-ins for our own interfaces; each passes the same conformance suite as the real thing."""

from collections.abc import Sequence

from activity.jobs import Job
from rabbit.lifecycle import Change


class FakePublisher:
    """A `JobPublisher` that keeps what it was given. `fail_with` is raised in place of publishing, to play a bug."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.fail_with: Exception | None = None

    async def ready(self) -> None:
        """At once."""

    async def publish(self, jobs: Sequence[Job]) -> None:
        """Keeps them."""
        if self.fail_with is not None:
            raise self.fail_with
        self.jobs.extend(jobs)


class FakeListener:
    """A `Listener` that keeps what it was told."""

    def __init__(self) -> None:
        self.changes: list[Change] = []

    def tell(self, change: Change) -> None:
        """Keeps it."""
        self.changes.append(change)

    def states(self, job: str) -> list[str]:
        """The states that `job` went through."""
        return [change.state for change in self.changes if change.job == job]

"""What the pool can do: a registry of tasks by name, passed in and not filled by imports."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from activity.jobs import Job
from activity.outcomes import Outcome


class Permission(Protocol):
    """Leave to do the one thing that can't be taken back."""

    async def __call__(self) -> bool:
        """Asks the ledger. Only after True may the thing be done, at once; after False the task undoes what it prepared
        and returns, whatever it likes. Ask once."""


Task = Callable[[Job, Permission], Awaitable[Outcome]]
"""Does one attempt at a job and says what came of it.

Before it asks for permission nothing may happen outside that counts: a task that is cancelled or raises until then is
tried again. If it is cancelled or raises after it was granted, the outcome is `Unknown`.
"""


class Tasks:
    """Tasks by the name that stands in a job (`Job.task`)."""

    def __init__(self) -> None:
        self._by_name: dict[str, Task] = {}

    def task(self, name: str) -> Callable[[Task], Task]:
        """Decorator that registers a task. Raises ValueError if the name is taken."""

        def register(task: Task) -> Task:
            if name in self._by_name:
                raise ValueError(f"there is a task {name!r} already")
            self._by_name[name] = task
            return task

        return register

    def find(self, name: str) -> Task | None:
        """The task of that name, or None."""
        return self._by_name.get(name)

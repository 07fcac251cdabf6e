"""What the pool can do: a registry of tasks by name, passed in and not filled by imports."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from activity.jobs import Job
from activity.outcomes import Dead, Outcome, Retry, Sent


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


Function = Callable[[Any], Awaitable[Any]]


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

    def function(self, name: str) -> Callable[[Function], Function]:
        """Decorator that registers a function of a job's data (`Pool.map`: of an item) as a task that keeps its value.

        It computes first and is claimed then, so a crash repeats it: it may read and compute, and change only what may be
        changed twice. What it raises is tried again; a value that can't be JSON is dead.
        """

        def register(function: Function) -> Function:
            async def compute(job: Job, permission: Permission) -> Outcome:
                value = await function(job.event.get("data"))
                try:
                    msgspec.json.encode(value)
                except Exception as error:  # noqa: BLE001 - whatever it made, it is not JSON
                    return Dead("bad-value", f"{type(error).__name__}: {error}")
                return Sent(value=value) if await permission() else Retry("not permitted")

            self.task(name)(compute)
            return function

        return register

    def find(self, name: str) -> Task | None:
        """The task of that name, or None."""
        return self._by_name.get(name)

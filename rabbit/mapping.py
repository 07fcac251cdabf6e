"""Fan-out and fan-in: a task for each of many items, on all pools at once, and the results as they come.

    async for result in pool.map("thumbnail", paths, name="album-7"):
        print(f"{result.done} of {result.total}: {result.item}", result.value if result.ok else result.outcome)

Each item becomes a job like any other: it is retried, claimed in the ledger, and dead if it can't succeed. The results
are what the ledger says, so none is lost, whoever did the work; a change that is told here only makes it look sooner.
If the caller stops or dies, the jobs go on. Whoever calls again with the same `name` and items gets the results that
are there and waits for the others; a job that is still on its way is published again, and the ledger lets it count once.
At most `window` items are on their way at a time, so neither the items nor their results need fit into memory. Not to
be called from within a task: it would wait for its own pool.
"""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from activity.errors import Unreachable
from activity.jobs import Job, JobClass, JobState, job_id
from activity.outcomes import Outcome, Sent
from rabbit.letters import first_letter
from rabbit.lifecycle import Change, Listener
from rabbit.publisher import Outbox
from store.interfaces import Outcomes

SOURCE: Final = "map"
FIRST_LOOK, LONGEST_LOOK = 0.05, 2.0
"""Seconds between two looks into the ledger while nothing is told: what other processes did is only found so."""


class Result(msgspec.Struct, frozen=True):
    """What came of one item: the `number`-th from 0. `done` of `total` (None: not known) have ended so far."""

    item: Any
    number: int
    job: str
    state: JobState
    outcome: Outcome | None
    attempts: int
    done: int
    total: int | None

    @property
    def ok(self) -> bool:
        """Whether the task succeeded."""
        return self.state == "sent"

    @property
    def value(self) -> Any:
        """What the task made; None if it did not succeed."""
        return self.outcome.value if isinstance(self.outcome, Sent) else None


class _Part(msgspec.Struct, frozen=True):
    """An item on its way."""

    number: int
    item: Any
    job: Job


class Mappings:
    """All that are under way here. It is a `Listener` that passes on what it is told."""

    def __init__(self, outbox: Outbox, outcomes: Outcomes, listener: Listener) -> None:
        self._outbox, self._outcomes, self._listener = outbox, outcomes, listener
        self._told: dict[str, asyncio.Event] = {}

    def tell(self, change: Change) -> None:
        """See `Listener.tell`."""
        self._listener.tell(change)
        if change.state not in ("scheduled", "sending", "waiting") and (told := self._told.get(change.job)) is not None:
            told.set()

    async def map(
        self, task: str, items: Iterable[Any], *, name: str | None, job_class: JobClass, window: int
    ) -> AsyncGenerator[Result, None]:
        """See above. Raises TypeError for an item that can't be JSON; those before it are done all the same."""
        total = len(items) if isinstance(items, Sequence) else None
        parts = _parts(task, items, name or uuid.uuid4().hex, job_class)
        waiting: dict[str, _Part] = {}
        told, done, pause = asyncio.Event(), 0, FIRST_LOOK
        try:
            while True:
                new = list(islice(parts, window - len(waiting)))
                waiting |= {part.job.id: part for part in new}
                self._told |= {part.job.id: told for part in new}
                if not waiting:
                    return
                told.clear()
                unheard = set() if name else {part.job.id for part in new}  # nobody has had a name that was just made up
                found = await self._look([id for id in waiting if id not in unheard])
                await self._outbox.deliver([first_letter(part.job) for part in new if part.job.id not in found])
                for id, (state, attempts, outcome) in found.items():
                    part, done = waiting.pop(id), done + 1
                    self._told.pop(id, None)
                    yield Result(part.item, part.number, id, state, outcome, attempts, done, total)
                pause = FIRST_LOOK if found or new else min(2 * pause, LONGEST_LOOK)
                if not found:
                    await _either(told, pause)
        finally:
            for id in waiting:
                self._told.pop(id, None)

    async def _look(self, ids: Sequence[str]) -> dict[str, tuple[JobState, int, Outcome | None]]:
        """Those that have ended; nothing while the store is away."""
        try:
            return await self._outcomes.outcomes(ids)
        except Unreachable:
            return {}


def _parts(task: str, items: Iterable[Any], name: str, job_class: JobClass) -> Iterator[_Part]:
    for number, item in enumerate(items):
        digest = hashlib.sha256(msgspec.json.encode(item, order="deterministic")).hexdigest()
        event = {
            "id": f"{number}-{digest[:16]}",
            "source": SOURCE,
            "type": task,
            "subject": name,
            "time": None,
            "data": item,
        }
        id = job_id(name, SOURCE, f"{number}-{digest[:16]}", task)
        yield _Part(
            number, item, Job(id=id, task=task, rule=SOURCE, job_class=job_class, user=name, to="", template="", event=event)
        )


async def _either(told: asyncio.Event, seconds: float) -> None:
    """Waits until something is told, so long at most."""
    try:
        await asyncio.wait_for(told.wait(), seconds)
    except TimeoutError:
        return

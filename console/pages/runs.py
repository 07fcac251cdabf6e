"""What is done to many letters at once, in the worker that was asked: it goes on while nobody looks, and can be stopped.

It is not kept: when the worker ends, what is done is done, the rest is open still, and whoever asks again goes on with that.
"""

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final, Literal

import msgspec

from activity.errors import ChoparError
from rabbit.redelivery import Came

log = logging.getLogger(__name__)

Doing = Literal["replay", "discard"]
KEPT: Final = 20
"""So many that have ended can still be looked at."""


class Run(msgspec.Struct):
    """How far one is. `refused`: how many could not be done, by the problem; `failure`: why it ended too early."""

    doing: Doing
    by: str
    total: int
    done: int = 0
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    ended: bool = False
    failure: str | None = None


class Runs:
    """All of this worker; one goes at a time."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether none goes on."""
        return self._task is None or self._task.done()

    def start(self, run: Run, came: AsyncIterator[Came]) -> str | None:
        """Its id; None: another one is not over yet."""
        if not self.idle:
            return None
        id = uuid.uuid4().hex
        self._runs[id] = run
        for old in list(self._runs)[:-KEPT]:
            del self._runs[old]
        self._task = asyncio.create_task(_go(run, came))
        return id

    def get(self, id: str) -> Run | None:
        """None: it is not known here, any more or at all."""
        return self._runs.get(id)

    async def stop(self, id: str) -> None:
        """Ends it after the letter in hand."""
        if (run := self.get(id)) is not None and not run.ended:
            run.failure = "somebody stopped it"
            await self.close()

    async def close(self) -> None:
        """Ends what goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


async def _go(run: Run, came: AsyncIterator[Came]) -> None:
    steps: Any = came  # an async generator: closing it ends what it has in hand
    try:
        async with aclosing(steps):
            async for one in steps:
                if one.problem is None:
                    run.done += 1
                else:
                    run.refused[one.problem] += 1
    except ChoparError as error:
        run.failure = str(error)
    except Exception:
        log.exception("a %s of many letters ended", run.doing)
        run.failure = "this is a fault of ours; the log of the worker says more"
    finally:
        run.ended = True

"""Looking at everything while somebody looks at the overview, and at nothing while nobody does.

Each source is asked by itself, so that one that hangs holds none of the others; a page shows what is known by then.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from time import monotonic
from typing import Any, Final

from activity.errors import ChoparError
from console.problems import Problem

log = logging.getLogger(__name__)

AGAIN: Final = 5.0
"""Seconds until a source that failed is asked again."""
UNWATCHED: Final = 60.0
"""Seconds after the last look until the sources are let go."""
FIRST: Final = 1.5
"""Seconds that the first look waits for those who have not answered yet."""

Source = Callable[[], AsyncGenerator[Any, None]]
"""Opens something and yields what it says, again and again, in its own rhythm. Raises ChoparError or Problem when it can't."""


class Observer:
    """Knows what each source said last. Runs its sources from the first `look` on, until nobody has looked for a while."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources
        self._said: dict[str, Any] = {}
        self._problems: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._looked = 0.0
        self._changed = asyncio.Event()

    async def look(self) -> tuple[dict[str, Any], dict[str, str]]:
        """What each said last, and what is wrong with those that can't be asked; the first look waits a moment for them."""
        self._looked = monotonic()
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._ask(name, source)) for name, source in self._sources.items()]
            self._tasks.append(asyncio.create_task(self._let_go()))
        deadline = self._looked + FIRST
        while len(self._said | self._problems) < len(self._sources) and monotonic() < deadline:
            await self.change(deadline - monotonic())
        return dict(self._said), dict(self._problems)

    async def change(self, seconds: float) -> None:
        """Returns when somebody says something new, or after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def close(self) -> None:
        """Lets the sources go."""
        await self._end(self._tasks)

    async def _ask(self, name: str, source: Source) -> None:
        while True:
            try:
                async with aclosing(source()) as said:
                    async for value in said:
                        self._said[name] = value
                        self._problems.pop(name, None)
                        self._tell()
            except (ChoparError, Problem) as error:
                self._fail(name, str(error))
            except Exception:
                log.exception("%s can't be looked at", name)
                self._fail(name, "this is a fault of ours; the log of the worker says more")
            await asyncio.sleep(AGAIN)

    def _fail(self, name: str, problem: str) -> None:
        self._said.pop(name, None)
        self._problems[name] = problem
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _let_go(self) -> None:
        while monotonic() < self._looked + UNWATCHED:  # noqa: ASYNC110  (that somebody looks no more is told by nobody)
            await asyncio.sleep(UNWATCHED / 4)
        tasks, self._tasks = self._tasks, []
        self._said, self._problems = {}, {}
        await self._end([task for task in tasks if task is not asyncio.current_task()])

    @staticmethod
    async def _end(tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

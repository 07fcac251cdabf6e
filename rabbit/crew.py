"""The pool's workers by number; how many there are can be changed while they work."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import cast

from rabbit.source import Delivery

Take = Callable[[bool], Awaitable[Delivery]]
Do = Callable[[Delivery], Awaitable[None]]


class Crew:
    """So many workers as `resize` said last; one that is too many ends after the job it is at.

    With more than one, number 0 never takes a bulk job: a slow mailing leaves a way open for a password reset.
    `take(urgent)` must not lose anything when it is cancelled.
    """

    def __init__(self, take: Take, do: Do, spawn: Callable[[Awaitable[None]], asyncio.Future[None]]) -> None:
        self._take, self._do, self._spawn = take, do, spawn
        self._members: dict[int, asyncio.Future[None]] = {}
        self._idle: dict[int, asyncio.Task[None]] = {}
        self.size = 0
        self.busy = 0
        """How many are at a job."""

    @property
    def all(self) -> Collection[asyncio.Future[None]]:
        """Those who work, and those who end after the job they are at."""
        return self._members.values()

    def resize(self, size: int) -> None:
        """From now on `size` workers; 0: none begins another job."""
        turned = (self.size > 1) != (size > 1)  # number 0 has to take in another way
        self.size = size
        for number in [n for n in self._idle if n >= size or (n == 0 and turned)]:
            self._idle.pop(number).cancel()
            self._members.pop(number, None)
        for number in range(size):
            member = self._members.get(number)
            if member is None or member.done():
                self._members[number] = self._spawn(self._work(number))

    async def _work(self, number: int) -> None:
        me = cast("asyncio.Task[None]", asyncio.current_task())
        while number < self.size:
            self._idle[number] = me
            try:
                delivery = await self._take(number == 0 and self.size > 1)
            finally:
                if self._idle.get(number) is me:
                    del self._idle[number]
            self.busy += 1
            try:
                await self._do(delivery)
            finally:
                self.busy -= 1

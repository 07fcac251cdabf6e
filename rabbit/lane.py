"""Deliveries that wait for a worker, and which of them is next."""

import asyncio
from collections import deque
from typing import Final

from rabbit.source import Delivery

TURN: Final = 8


class Lane:
    """Deliveries that wait for a worker. Transactional ones are handed out first, so that a mailing delays none of them;
    but of `TURN` that are taken while both wait one is a bulk one, so that a mailing ends even if the others never do."""

    def __init__(self) -> None:
        self._waiting: dict[bool, deque[Delivery]] = {False: deque(), True: deque()}
        self._arrived = asyncio.Event()
        self._overtaken = 0

    def put(self, delivery: Delivery) -> None:
        """Adds one; who waits for it is woken."""
        self._waiting[delivery.bulk].append(delivery)
        self._arrived.set()

    def put_back(self, delivery: Delivery) -> None:
        """Adds one before all others of its class."""
        self._waiting[delivery.bulk].appendleft(delivery)
        self._arrived.set()

    async def get(self, *, urgent: bool) -> Delivery:
        """Removes the first one; see `Source.take`."""
        while (delivery := self._next(urgent)) is None:
            self._arrived.clear()
            await self._arrived.wait()
        return delivery

    def clear(self) -> list[Delivery]:
        """Removes and returns all."""
        taken = [*self._waiting[False], *self._waiting[True]]
        for waiting in self._waiting.values():
            waiting.clear()
        return taken

    def _next(self, urgent: bool) -> Delivery | None:
        first, bulk = self._waiting[False], self._waiting[True]
        if first and (urgent or not bulk):
            return first.popleft()
        if first and self._overtaken < TURN - 1:
            self._overtaken += 1
            return first.popleft()
        if bulk and not urgent:
            self._overtaken = 0
            return bulk.popleft()
        return None

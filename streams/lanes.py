"""Partitions side by side: the chunks of one are worked on in turn, those of several at the same time.

A chunk waits twice for Kafka to confirm what it led to. Meanwhile the chunks of other partitions are decided, and what they lead
to goes out in the same requests. A partition whose far end is away holds up no other.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable

from activity.chunk import Chunk


class Lanes:
    """Calls `work` for each chunk that is put, one at a time for each partition."""

    def __init__(self, work: Callable[[Chunk], Awaitable[None]]) -> None:
        self._work = work
        self._waiting: defaultdict[int, deque[Chunk]] = defaultdict(deque)
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def put(self, chunk: Chunk) -> None:
        """Work on `chunk` after those of its partition that were put before. How many may wait is up to the consumer."""
        partition = chunk.partition
        self._waiting[partition].append(chunk)
        if partition not in self._tasks:
            self._tasks[partition] = asyncio.create_task(self._lane(partition), name=f"{chunk.topic}/{partition}")

    async def _lane(self, partition: int) -> None:
        waiting = self._waiting[partition]
        try:
            while waiting:
                await self._work(waiting.popleft())
        finally:
            del self._tasks[partition]

    async def finished(self) -> None:
        """Returns once all that was put is worked on; raises what `work` raised."""
        while self._tasks:
            await asyncio.gather(*self._tasks.values())

    async def cancel(self) -> None:
        """Break off what is being worked on, and let go of what waits."""
        self._waiting.clear()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

"""Appends that come while another one is written go together in the next transaction: one wait for the disk for all of them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from store.log import Appended, Entry

LARGEST: Final = 8_000
"""So many entries are enough for one transaction; whoever wants to write waits for it."""

_Waiting = tuple[Sequence[Entry], asyncio.Future[list[Entry]]]


class Together:
    """Appends for many callers, by one call of `append` at a time."""

    def __init__(self, append: Callable[[Sequence[Entry]], Awaitable[Appended]]) -> None:
        self._append = append
        self._waiting: deque[_Waiting] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def append(self, entries: Sequence[Entry]) -> list[Entry]:
        """Returns once all are durable; gives those that are not and never can be (`Log.append`).

        Who is cancelled may have appended. Raises what `append` raised, to each caller whose entries were in that call.
        """
        done: asyncio.Future[list[Entry]] = asyncio.get_running_loop().create_future()
        self._waiting.append((entries, done))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return await done

    async def _write(self) -> None:
        try:
            while self._waiting:
                group = self._group()
                try:
                    appended = await self._append([entry for entries, _ in group for entry in entries])
                except Exception as error:  # noqa: BLE001  (it is the callers')
                    for _, done in group:
                        if not done.done():
                            done.set_exception(error)
                else:
                    refused = set(map(id, appended.conflicts))
                    for entries, done in group:
                        if not done.done():
                            done.set_result([entry for entry in entries if id(entry) in refused] if refused else [])
        finally:
            self._writing = None

    def _group(self) -> list[_Waiting]:
        group, size = [self._waiting.popleft()], 0
        while self._waiting and (size := size + len(group[-1][0])) + len(self._waiting[0][0]) <= LARGEST:
            group.append(self._waiting.popleft())
        return group

    async def finished(self) -> None:
        """Returns once nothing is being written."""
        if self._writing is not None:
            await asyncio.wait({self._writing})

"""How many conversations with the mail server there are at a time."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

QUIET: Final = 60.0
"""Seconds without a complaint after which one more conversation is tried."""


class Gate:
    """Lets in whoever comes until the server says that they are too many; then fewer, and one more after each quiet minute."""

    def __init__(self, now: Callable[[], float] = time.monotonic, quiet: float = QUIET) -> None:
        self._now, self._quiet = now, quiet
        self._inside = 0
        self._limit: int | None = None
        self._since = 0.0
        self._left = asyncio.Event()

    @property
    def limit(self) -> int | None:
        """How many are let in; None: all."""
        return self._limit

    async def enter(self, within: float) -> bool:
        """Waits for its turn, at most `within` seconds. Only who was let in leaves."""
        try:
            async with asyncio.timeout(within):
                while not self._is_open():
                    self._left.clear()
                    await self._left.wait()
        except TimeoutError:
            return False
        self._inside += 1
        return True

    def leave(self) -> None:
        """The conversation is over."""
        self._inside -= 1
        self._left.set()

    def narrow(self) -> None:
        """The server complained of one that is inside: one fewer from now on, but one at least."""
        self._limit = max(1, min(self._inside, self._limit or self._inside) - 1)
        self._since = self._now()

    def _is_open(self) -> bool:
        if self._limit is None:
            return True
        if self._now() - self._since >= self._quiet:
            self._limit += 1
            self._since = self._now()
        return self._inside < self._limit

"""One process at a time: a lock that ends with its holder, however that one ends."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from store.failure import Away

_GLANCE: Final = 0.02


@asynccontextmanager
async def exclusive(path: Path, timeout_seconds: float) -> AsyncIterator[None]:
    """Held by one process at a time. The file stays. Raises Away if the holder does not let go in time."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            async with asyncio.timeout(timeout_seconds):
                while not _taken(handle):  # noqa: ASYNC110 - the lock of another process has no event to wait for
                    await asyncio.sleep(_GLANCE)
        except TimeoutError:
            raise Away(f"another process has been preparing it for {timeout_seconds:g} s", "wait for it, or end it") from None
        yield
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""One `chopar up` a data folder, and whether it is alive."""

import asyncio
import fcntl
import os
from pathlib import Path
from typing import Final

from activity.errors import ChoparError

TRIES: Final = 10


class AlreadyRunning(ChoparError):
    """Another process holds the folder. This one does not start; the text names the other's pid."""


class Lock:
    """A lock on a file that ends with its holder, however that ends. The file stays; it holds the holder's pid."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    async def acquire(self) -> None:
        """Takes the lock. Raises AlreadyRunning if another holds it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        for left in reversed(range(TRIES)):  # `is_held` takes it for a moment too
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if left == 0:
                    pid = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
                    os.close(handle)
                    raise AlreadyRunning(f"{self._path.parent}: one runs here already (pid {pid}); stop it first") from None
                await asyncio.sleep(0.05)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle

    @property
    def is_ours(self) -> bool:
        """Whether we hold it."""
        return self._handle is not None

    def release(self) -> None:
        """Gives it back. Does nothing if it is not ours."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock at `path`."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False

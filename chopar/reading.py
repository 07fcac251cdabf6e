"""Reading a file or a pipe piece by piece, without keeping the event loop or a Ctrl-C waiting."""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator
from typing import Final

from activity.errors import ChoparError

PIECE: Final = 64 * 1024
AHEAD: Final = 8
"""Pieces that may wait."""


async def pieces(handle: int) -> AsyncGenerator[bytes, None]:
    """What can be read from the file descriptor, as soon as it is there. Raises ChoparError if reading fails."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes | OSError] = asyncio.Queue()
    room = threading.Semaphore(AHEAD)

    def read() -> None:
        # A daemon thread on the bare descriptor: a read that waits for a terminal can't be cancelled, only left behind.
        piece: bytes | OSError = b"?"
        while piece and not isinstance(piece, OSError):
            room.acquire()
            try:
                piece = os.read(handle, PIECE)
            except OSError as error:
                piece = error
            try:
                loop.call_soon_threadsafe(queue.put_nowait, piece)
            except RuntimeError:  # the loop is closed: nobody wants it any more
                return

    threading.Thread(target=read, name="reader", daemon=True).start()
    while piece := await queue.get():
        if isinstance(piece, OSError):
            raise ChoparError(f"can't read the events: {piece.strerror}")
        room.release()
        yield piece

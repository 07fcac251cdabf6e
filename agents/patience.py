"""Waiting an outage out in place: no crash, no lost chunk, two lines in the log."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, TypeVar

from activity.chunk import Chunk

T = TypeVar("T")
log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 5.0
GRACE: Final = 2.0
"""Seconds that a try gets to finish after its chunk was lost; what works takes milliseconds."""
_GLANCE: Final = 0.1


class Lost(Exception):
    """The chunk's partition is another worker's by now. Nothing to do: the new owner reads the records again."""


async def patiently(
    attempt: Callable[[], Awaitable[T]], chunk: Chunk, far_end: str, outage: tuple[type[BaseException], ...]
) -> T:
    """What `attempt` gives, tried again with growing pauses for as long as it raises one of `outage`.

    Logs once when the outage of `far_end` begins and once when it ends. Raises Lost when the chunk is lost meanwhile; a
    try that hangs is cancelled then.
    """
    began, pause = None, FIRST_PAUSE
    while True:
        try:
            result = await _unless_lost(attempt(), chunk)
        except outage as error:
            if began is None:
                began = monotonic()
                log.warning("%s is away, %r waits: %s", far_end, chunk, error)
            deadline = monotonic() + pause
            while not chunk.lost and monotonic() < deadline:  # noqa: ASYNC110  (losing a chunk is a flag, set between two glances)
                await asyncio.sleep(min(_GLANCE, pause))
            if chunk.lost:
                raise Lost from None
            pause = min(2 * pause, LONGEST_PAUSE)
        else:
            if began is not None:
                log.warning("%s is back after %.1f s", far_end, monotonic() - began)
            return result


async def _unless_lost(work: Awaitable[T], chunk: Chunk) -> T:
    task, lost_at = asyncio.ensure_future(work), None
    try:
        while True:
            done, _ = await asyncio.wait({task}, timeout=_GLANCE)
            if done:
                return task.result()
            if chunk.lost:
                lost_at = lost_at or monotonic()
                if monotonic() - lost_at > GRACE:
                    raise Lost
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

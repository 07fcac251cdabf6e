"""Outages of a far end: told once when one begins and once when it ends, and how long to wait between two tries."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Hashable

from activity.retry import backoff

logger = logging.getLogger(__name__)

FIRST_WAIT = 0.1
LONGEST_WAIT = 5.0


class Outage:
    """One log line when the first of several watchers loses `what`, one when the last of them has it back.

    `problem` must hold no password and no address.
    """

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._watchers: set[Hashable] = set()
        self._since = 0.0

    @property
    def lasting(self) -> bool:
        """Whether any watcher is without it now."""
        return bool(self._watchers)

    def begin(self, watcher: Hashable, problem: str) -> None:
        """`watcher` can't do its work. Repeating it says nothing new."""
        if not self._watchers:
            self._since = self._clock()
            logger.warning("%s is away (%s); the work waits and goes on by itself", self._what, problem)
        self._watchers.add(watcher)

    def end(self, watcher: Hashable) -> None:
        """`watcher` works again (or has gone)."""
        if watcher not in self._watchers:
            return
        self._watchers.discard(watcher)
        if not self._watchers:
            logger.warning("%s is back after %.1f s", self._what, self._clock() - self._since)


def quiet_libraries() -> None:
    """aio_pika and aiormq tell each failure of each try; `Outage` tells it once."""
    for library in ("aio_pika", "aiormq"):
        logging.getLogger(library).setLevel(logging.CRITICAL)


async def wait(failures: int) -> None:
    """Sleeps before the try that follows failure number `failures` (from 1): longer each time, at most 5 s, never 0."""
    ceiling = backoff(failures, FIRST_WAIT, LONGEST_WAIT, 1.0)
    await asyncio.sleep(ceiling * (0.5 + random.random() / 2))  # noqa: S311 - it spreads load, it guards nothing

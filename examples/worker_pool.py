"""A pool of workers: jobs fan out over RabbitMQ, results fan in, failures are tried again: make worker-pool [ARGS=WORKERS]."""

import asyncio
import logging
import sys
import time
from collections import Counter

from examples.running import WORKERS, running, say, start
from rabbit.consequences import Terms
from rabbit.lifecycle import Change
from rabbit.tasks import Tasks

PHOTOS = ["beach", "forest", "castle (slow disk)", "harbour", "bridge (broken file)", "market", "garden", "tower"]
TERMS = Terms(max_attempts=3, base=1.0, cap=8.0)

tasks = Tasks()
tried: Counter[str] = Counter()
busy: set[str] = set()
most = 0
started = time.monotonic()


@tasks.function("thumbnail")
async def thumbnail(photo: str) -> int:
    """Its size in kB. A slow disk fails once, a broken file always."""
    global most
    tried[photo] += 1
    busy.add(photo)
    most = max(most, len(busy))
    try:
        await asyncio.sleep(0.2)  # stands for work that waits: on a disk, on a network. The others go on meanwhile
        if "broken" in photo or ("slow" in photo and tried[photo] == 1):
            say(f"{photo}: attempt {tried[photo]} failed after {time.monotonic() - started:.1f} s")
            raise OSError("can't read it")
        return 10 * len(photo)
    finally:
        busy.discard(photo)


class Nobody:
    """Who listens to what becomes of each job: the results say it here."""

    def tell(self, change: Change) -> None:
        """Takes no notice."""


async def main(workers: int) -> None:
    """Prints a line for each photo as it is done."""
    global started
    async with running(tasks, TERMS, Nobody(), workers=workers) as parts:
        started = time.monotonic()
        say(f"{len(PHOTOS)} photos, workers: {workers}")
        async for result in parts.pool.map("thumbnail", PHOTOS, job_class="transactional"):
            made = f"{result.value} kB" if result.ok else f"{result.state}, {getattr(result.outcome, 'reason', '')}"
            say(f"{result.done} of {result.total}: {result.item}: {made}; attempts: {result.attempts}")
        say(f"at most {most} at once")


if __name__ == "__main__":
    logging.getLogger("rabbit.attempt").setLevel(logging.CRITICAL)  # it would show the traceback of each failure
    start(main(int(sys.argv[1]) if len(sys.argv) > 1 else WORKERS))

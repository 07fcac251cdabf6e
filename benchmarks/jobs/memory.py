"""A mailer's memory while it mails, as jobs go through it and as they wait: it may not grow with either."""

import asyncio
from pathlib import Path

import msgspec

from benchmarks.process import Process


class Memory(msgspec.Struct, frozen=True):
    """What it had when a tenth of the jobs were done, when all were, and at most."""

    what: str
    jobs: int
    begin_mb: float
    end_mb: float
    peak_mb: float

    @property
    def growth(self) -> float:
        """How much more at the end."""
        return self.end_mb / self.begin_mb


def counted(file: Path, record: int) -> int:
    """How many whole records a file has by now."""
    return file.stat().st_size // record if file.exists() else 0


async def sampled(process: Process, done: Path, what: str, jobs: int, record: int) -> Memory:
    """Looks on until `jobs` are done. Raises RuntimeError if it ends by itself."""
    begin = 0.0
    while (now := counted(done, record)) < jobs:
        if process.ended:
            raise RuntimeError(f"the mailer ended\n{process.tail()}")
        if not begin and now >= jobs / 10:
            begin = process.resident_mb()
        await asyncio.sleep(0.1)
    return Memory(what, jobs, begin, process.resident_mb(), process.peak_mb())

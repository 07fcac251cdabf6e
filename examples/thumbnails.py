"""A pool for a task that is not email, in one process: python examples/thumbnails.py FILE..."""

import asyncio
import hashlib
import sys
import tempfile
from pathlib import Path

from rabbit.channel import ChannelSource
from rabbit.consequences import Terms
from rabbit.lifecycle import Change
from rabbit.pool import Limits, Pool
from rabbit.tasks import Tasks
from store.opening import open_store

tasks = Tasks()


@tasks.function("thumbnail")
async def thumbnail(path: str) -> str:
    """What it makes of a file; a file that can't be read is tried again, three times in all."""
    return hashlib.sha256(await asyncio.to_thread(Path(path).read_bytes)).hexdigest()[:12]


class Nobody:
    """Who listens to what becomes of each job."""

    def tell(self, change: Change) -> None:
        """Takes no notice."""


async def answers() -> bool:
    """There is no far end that could be away."""
    return True


async def main(paths: list[str]) -> int:
    """Prints a line for each file as it is done. 1 if one could not be."""
    source = ChannelSource(scale=0.1)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        async with open_store(f"sqlite:///{folder}/thumbnails.db") as store:
            pool = Pool(
                source=source,
                outbox=source,
                ledger=store.ledger("resend"),
                outcomes=store.jobs,
                tasks=tasks,
                listener=Nobody(),
                probe=answers,
                terms=Terms(max_attempts=3, base=0.1, cap=1.0),
                limits=Limits(workers=4, timeout=10.0),
            )
            async with pool:
                async for result in pool.map("thumbnail", paths):
                    failed += not result.ok
                    made = result.value if result.ok else result.state
                    sys.stdout.write(f"{result.done} of {result.total}: {result.item} {made}\n")
    await source.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))

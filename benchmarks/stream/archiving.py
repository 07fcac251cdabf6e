"""The archiver beside a bare bulk insert of the same rows: `python -m benchmarks.stream.archiving`. No broker.

Each side gets the same chunks of `activity.log`, one transaction a chunk, into a new SQLite file with the same durability.
The bare one has its rows ready as dictionaries: it reads no JSON.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec

from activity import names
from activity.chunk import Chunk
from activity.events import log_value
from agents.archiver import archiver, read_entry
from benchmarks.stream.events import event
from store.address import parse_address
from store.connection import Database
from store.opening import open_store
from store.schema import activity
from store.together import Together


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record of `activity.log`."""

    key: bytes
    value: bytes
    offset: int
    timestamp: int = 0
    headers: tuple[Any, ...] = ()


def chunks(records: int, size: int, users: int = 1_000) -> list[Chunk]:
    """Events of `users` users in turn, as the sequencer writes them."""
    found = []
    for number in range(records):
        user, position = f"u-{number % users}", number // users + 1
        found.append(Record(user.encode(), log_value(event(user, position), position, "logged", 1.0), number))
    return [Chunk(names.LOG, 0, found[at : at + size]) for at in range(0, records, size)]


async def archived(given: list[Chunk], url: str) -> None:
    """By the archiver."""
    async with open_store(url) as store:
        log = Together(store.log.append)
        for chunk in given:
            await archiver(chunk, store=log, outputs=_NoOutputs())


async def inserted(rows: list[list[dict[str, Any]]], url: str) -> None:
    """By SQLAlchemy and aiosqlite alone."""
    async with open_store(url):
        pass
    database = Database(parse_address(url))
    for some in rows:
        async with database.writing() as connection:
            await connection.execute(activity.insert(), some)
    await database.close()


class _NoOutputs:
    async def deliver(self, chunk: Chunk, step: Any) -> None:
        raise AssertionError(f"{chunk} has records that can't be kept")


def rate(work: Callable[[str], Coroutine[Any, Any, None]], records: int) -> float:
    """Rows a second into a store of its own."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'store.db'}"
        asyncio.run(_opened(url))
        begin = perf_counter()
        asyncio.run(work(url))
        return records / (perf_counter() - begin)


async def _opened(url: str) -> None:
    async with open_store(url):
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--chunk", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rows = [
        [msgspec.structs.asdict(read_entry(chunk, record)) for record in chunk]
        for chunk in chunks(arguments.records, arguments.chunk)
    ]
    found = []
    for _ in range(arguments.rounds):
        bare = rate(partial(inserted, rows), arguments.records)
        ours = rate(partial(archived, chunks(arguments.records, arguments.chunk)), arguments.records)
        found.append({"chopar": ours, "bare": bare})
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


if __name__ == "__main__":
    main()

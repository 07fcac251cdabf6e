"""Who is cancelled in the middle of a transaction leaves nothing behind: SQLite's writer's place is free for the next."""

import asyncio
import random
import sqlite3

from msgspec.structs import replace

from store.opening import open_store
from tests.activity.test_redelivery import LETTER


async def test_who_is_cancelled_while_waiting_for_the_writer_ends_and_never_becomes_it(sqlite_url: str) -> None:
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None, timeout=10.0)
    async with open_store(sqlite_url) as store:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(store.letters.take([LETTER]))
        await asyncio.wait({waiting}, timeout=0.2)
        waiting.cancel()
        _, pending = await asyncio.wait({waiting}, timeout=15.0)  # it would be in line for 30 seconds
        assert not pending
        assert waiting.cancelled()
        other.execute("COMMIT")
        other.execute("BEGIN IMMEDIATE")  # "database is locked" if a thread had taken it for who is gone
        other.execute("COMMIT")
        assert await store.letters.letter(LETTER.id) is None
    other.close()


async def test_cancelled_at_any_moment_the_next_one_can_write(sqlite_url: str) -> None:
    seed = random.Random(7)
    async with open_store(sqlite_url) as store:
        for number in range(15):
            letters = [replace(LETTER, id=f"l-{number}-{part}") for part in range(5)]
            tasks = [
                asyncio.create_task(store.letters.take(letters)),
                asyncio.create_task(store.switches.write("x", "y", 1.0)),
                asyncio.create_task(store.switches.read("x")),
            ]
            await asyncio.wait(tasks, timeout=seed.random() * 0.006)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            async with asyncio.timeout(20.0):
                await store.switches.write("x", str(number), 1.0)
            assert await store.switches.read("x") == str(number)

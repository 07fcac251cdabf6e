"""What a run of the mail side leaves behind: what the mail server saw, what the store has, what lies in the queues.

Read with clients of this module's own; nothing of Chopar is imported (`test_checker.py` holds that).
"""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any, Final, NamedTuple

import aio_pika
import msgspec
from aio_pika.exceptions import QueueEmpty

DEAD: Final = "email.dead"
QUEUES: Final = ("email.transactional", "email.bulk", *(f"chopar.retry.{2**n}s" for n in range(13)))


class Handed(NamedTuple):
    """A mail whose last byte reached the mail server: whether it was kept, and what was answered."""

    job: str
    time: float
    kept: bool
    answer: str


class Given(NamedTuple):
    """A job as it was published. `hopeless`: no try of it can succeed. `due`: not to be sent before."""

    body: bytes
    hopeless: bool = False
    due: float = 0.0


class JobRow(NamedTuple):
    """A row of the ledger's jobs."""

    id: str
    state: str
    reason: str
    repeats: int


class AttemptRow(NamedTuple):
    """A row of the ledger's attempts. `reply`: the words of the far end."""

    job: str
    number: int
    outcome: str | None
    detail: dict[str, Any]


class Letter(NamedTuple):
    """A message that lay in a queue."""

    queue: str
    body: bytes
    headers: dict[str, Any]


class Evidence(NamedTuple):
    """All of it. `junk` are bodies that were published and are no jobs."""

    given: dict[str, Given]
    junk: list[bytes]
    handed: list[Handed]
    jobs: list[JobRow]
    attempts: list[AttemptRow]
    shelf: list[str]
    letters: list[Letter]


async def gather(given: dict[str, Given], junk: list[bytes], handed: list[Handed], store: Path, rabbit_url: str) -> Evidence:
    """Read everything. The queues are empty afterwards."""
    left = await drain(rabbit_url)
    jobs, attempts, shelf, letters = await asyncio.to_thread(read_store, store)
    return Evidence(given, junk, handed, jobs, attempts, shelf, letters + left)


def read_store(path: Path) -> tuple[list[JobRow], list[AttemptRow], list[str], list[Letter]]:
    """The ledger, the shelf and the dead letters that the mailers took in, by SQLite's own means."""
    database = sqlite3.connect(path, timeout=30)
    try:
        jobs = [JobRow(*row) for row in database.execute("select id, state, reason, repeats from job")]
        found = database.execute("select job_id, number, outcome, detail from attempt order by job_id, number")
        attempts = [
            AttemptRow(job, number, outcome, msgspec.json.decode(detail or "{}")) for job, number, outcome, detail in found
        ]
        shelf = [id for (id,) in database.execute("select job_id from shelf")]
        taken = database.execute("select payload, headers from dead_letter where broker = 'rabbitmq'")
        return jobs, attempts, shelf, [Letter(DEAD, body, _texts(headers)) for body, headers in taken]
    finally:
        database.close()


def _texts(headers: bytes) -> dict[str, Any]:
    """The headers of a dead letter as the store has them, each value as text."""
    return {name: (value or b"").decode("utf-8", "replace") for name, value in msgspec.msgpack.decode(headers)}


async def drain(url: str) -> list[Letter]:
    """Every message of every queue."""
    found: list[Letter] = []
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=500)
        for name in (DEAD, *QUEUES):
            queue = await channel.get_queue(name)
            try:
                while (message := await queue.get(no_ack=True)) is not None:
                    found.append(Letter(name, message.body, dict(message.headers)))
            except QueueEmpty:
                continue
    return found

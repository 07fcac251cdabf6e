"""The notifier beside a windowed confirmed publish of the same jobs: `python -m benchmarks.stream.notifying --rabbit amqp://…`.

Both publish persistent messages to the quorum queues of a Chopar, 200 of them unconfirmed at a time. The bare one has its bodies
ready: it reads no events and asks no rules.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import aio_pika
import msgspec

from activity import names
from activity.chunk import Chunk
from activity.events import log_value
from activity.jobs import Job
from activity.rules import parse_rules
from agents.notifier import notifier, read_jobs
from benchmarks.stream.archiving import Record
from rabbit.letters import Letter, first_letter
from rabbit.publisher import WINDOW, Publisher
from rabbit.templates import expression
from rabbit.topology import declare

RULES = """
[[rule]]
name = "welcome"
on = "user.*"
to = "{{ data.email }}"
class = "bulk"
template = "welcome"
unsubscribe = "none"
"""


def chunks(records: int, size: int) -> list[Chunk]:
    """Events that each make one job."""
    found = []
    for number in range(records):
        user = f"u-{number}"
        raw = (
            f'{{"specversion":"1.0","id":"{user}-1","source":"/web","type":"user.signed_up","subject":"{user}",'
            f'"sequence":"1","time":"2026-01-31T09:30:00Z","data":{{"email":"{user}@example.com","name":"User {number}"}}}}'
        )
        found.append(Record(user.encode(), log_value(raw.encode(), 1, "logged", 1.0), number))
    return [Chunk(names.LOG, 0, found[at : at + size]) for at in range(0, records, size)]


async def notified(given: Sequence[Chunk], url: str) -> float:
    """Seconds by the notifier."""
    rules = parse_rules(RULES, "rules", expression, ["welcome"])
    async with Publisher(url) as publisher:
        await publisher.ready()
        begin = perf_counter()
        for chunk in given:
            await notifier(chunk, rules=rules, jobs=publisher, outputs=_NoOutputs())
        return perf_counter() - begin


async def published(letters: Sequence[Letter], url: str) -> float:
    """Seconds by aio-pika alone."""
    connection = await aio_pika.connect_robust(url)
    async with connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        exchange = await channel.get_exchange(names.JOBS_EXCHANGE, ensure=False)
        window = asyncio.Semaphore(WINDOW)

        async def one(number: int, letter: Letter) -> None:
            headers: Any = letter.headers
            message = aio_pika.Message(
                letter.body, headers=headers, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, message_id=str(number)
            )
            try:
                await exchange.publish(message, letter.key, mandatory=True)
            finally:
                window.release()

        begin = perf_counter()
        async with asyncio.TaskGroup() as group:
            for number, letter in enumerate(letters):
                await window.acquire()
                group.create_task(one(number, letter))
        return perf_counter() - begin


class _NoOutputs:
    async def deliver(self, chunk: Chunk, step: Any) -> None:
        raise AssertionError(f"{chunk} has records that make no job")


async def emptied(url: str, wanted: int) -> None:
    """All that was published stands on the queue; then it is empty for the next side."""
    connection = await aio_pika.connect_robust(url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.get_queue(names.BULK_QUEUE, ensure=False)
        purged = await queue.purge()
        if (purged.message_count or 0) < wanted:
            raise AssertionError(f"{purged.message_count} of {wanted} jobs were on the queue")


async def run(url: str, records: int, chunk: int, rounds: int) -> list[dict[str, float]]:
    """Jobs a second of each side, round by round."""
    await declare(url)
    rules = parse_rules(RULES, "rules", expression, ["welcome"])
    jobs: list[Job] = [job for part in chunks(records, chunk) for record in part for job in read_jobs(record, rules)[0]]
    letters, found = [first_letter(job) for job in jobs], []
    for _ in range(rounds):
        bare = await published(letters, url)
        await emptied(url, records)
        ours = await notified(chunks(records, chunk), url)
        await emptied(url, records)
        found.append({"chopar": records / ours, "bare": records / bare})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rabbit", required=True)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--chunk", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    found = asyncio.run(run(given.rabbit, given.records, given.chunk, given.rounds))
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


if __name__ == "__main__":
    main()

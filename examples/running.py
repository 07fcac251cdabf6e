"""What the two examples on RabbitMQ run in: a broker, a ledger, and a pool that tells what becomes of each job."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from activity.errors import ChoparError
from activity.names import TRANSACTIONAL_QUEUE
from brokers.discovery import read_settings
from brokers.local import RABBIT, one_broker
from rabbit.breaker import Probe
from rabbit.consequences import Terms
from rabbit.consumer import RabbitSource
from rabbit.lifecycle import Listener
from rabbit.link import connect
from rabbit.outage import Outage, quiet_libraries
from rabbit.pool import Limits, Pool
from rabbit.publisher import Publisher
from rabbit.tasks import Tasks
from rabbit.topology import declare
from store.opening import Store, open_store

WORKERS = 4


class Running:
    """The parts of a pool that runs: `url` of its RabbitMQ, `publisher` for its jobs, `store` with its ledger."""

    def __init__(self, url: str, pool: Pool, publisher: Publisher, store: Store) -> None:
        self.url, self.pool, self.publisher, self.store = url, pool, publisher, store


async def answers() -> bool:
    """For a pool whose tasks need no far end: there is none that could be away."""
    return True


@asynccontextmanager
async def running(
    tasks: Tasks, terms: Terms, listener: Listener, probe: Probe = answers, workers: int = WORKERS
) -> AsyncIterator[Running]:
    """A pool on the RabbitMQ of the settings or `chopar up`, else on a private one; its ledger is gone afterwards."""
    quiet_libraries()
    async with one_broker(RABBIT, read_settings()) as url:
        await declare(url)
        await nobody_else(url)
        with TemporaryDirectory() as folder:
            async with open_store(f"sqlite:///{Path(folder) / 'ledger.db'}") as store, Publisher(url) as publisher:
                source = RabbitSource(url, workers)
                pool = Pool(
                    source=source,
                    outbox=publisher,
                    ledger=store.ledger("resend"),
                    outcomes=store.jobs,
                    tasks=tasks,
                    listener=listener,
                    probe=probe,
                    terms=terms,
                    limits=Limits(workers, timeout=10.0),
                    far_end=Outage("the mail server"),
                )
                async with pool:
                    pool.add_future(source.run())
                    yield Running(url, pool, publisher, store)
                await source.close()


async def nobody_else(url: str) -> None:
    """Raises ChoparError if a mailer runs there: it would do our jobs."""
    async with await connect(url) as connection:
        queue = await (await connection.channel()).declare_queue(TRANSACTIONAL_QUEUE, passive=True)
        if queue.declaration_result.consumer_count:
            raise ChoparError(f"a mailer takes from {TRANSACTIONAL_QUEUE}; stop it, or run `chopar up --brokers-only` instead")


def start(work: Coroutine[Any, Any, None]) -> None:
    """Runs it to its end, and prints what brokers and outages have to say."""
    logging.basicConfig(level=logging.WARNING, format="-- %(message)s", stream=sys.stdout)
    logging.getLogger("brokers").setLevel(logging.INFO)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a Kafka that has just begun refuses some things at first
    try:
        asyncio.run(work)
    except ChoparError as error:
        sys.exit(str(error))


def say(text: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()

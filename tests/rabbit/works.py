"""A whole mail side in the test's own process: a pool on a source of either kind, a ledger, a mail server."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from activity.claims import Policy
from activity.domains import parse_limits
from activity.jobs import Job
from activity.names import DEAD_QUEUE
from activity.outcomes import Outcome
from activity.throttle import CALM
from rabbit.channel import ChannelSource
from rabbit.consequences import Terms
from rabbit.consumer import RabbitSource
from rabbit.letters import Letter
from rabbit.mail import email_task
from rabbit.outage import Outage
from rabbit.pool import Limits, Pool
from rabbit.publisher import Publisher
from rabbit.smtp import Mailer
from rabbit.tasks import Tasks
from rabbit.templates import Templates
from tests.rabbit import broker
from tests.rabbit.fakes import FakeListener
from tests.rabbit.inbox import Inbox
from tests.store.fakes import MemoryLedger

Kind = Literal["channel", "rabbitmq"]
TEMPLATES = Path("templates")


class Works:
    """Its parts, and what a test wants to do with them. `url` is None for a source in memory."""

    def __init__(
        self,
        url: str | None,
        inbox: Inbox,
        policy: Policy = "resend",
        timeout: float = 30.0,
        domains: str = "",
        calm: float = CALM,
        **terms: Any,
    ) -> None:
        self.url, self.inbox = url, inbox
        self.ledger = MemoryLedger(policy)
        self.listener = FakeListener()
        self.tasks = Tasks()
        self.mailer = Mailer(inbox.url, timeout)
        self.tasks.task("email")(email_task(self.mailer, Templates(TEMPLATES), "Shop <mail@shop.example>"))
        self.source: ChannelSource | RabbitSource
        self.outbox: ChannelSource | Publisher
        if url is None:
            self.source = self.outbox = ChannelSource(scale=0.05)
        else:
            outage = Outage("RabbitMQ")
            self.source, self.outbox = RabbitSource(url, 4, outage), Publisher(url, outage)
        self.pool = Pool(
            source=self.source,
            outbox=self.outbox,
            ledger=self.ledger,
            outcomes=self.ledger,
            tasks=self.tasks,
            listener=self.listener,
            probe=self.mailer.answers,
            terms=Terms(base=0.1, cap=0.5, policy=policy, **terms),
            limits=Limits(4, timeout, parse_limits(domains).by_domain, calm),
        )

    async def start(self) -> None:
        """The pool takes jobs."""
        await self.pool.start()
        if isinstance(self.source, RabbitSource):
            self.pool.add_future(self.source.run())

    async def close(self) -> None:
        """Stops the pool and hangs up."""
        await self.pool.stop()
        for part in {id(part): part for part in (self.source, self.outbox, self.mailer)}.values():
            await part.close()

    async def publish(self, *jobs: Job) -> None:
        """First attempts."""
        await self.outbox.publish(jobs)

    async def deliver(self, *letters: Letter) -> None:
        """Anything else."""
        await self.outbox.deliver(letters)

    async def until(self, job: Job, *states: str, within: float = 60.0) -> None:
        """Waits until the ledger has the job in one of these states and all that follows from it is done."""
        async with asyncio.timeout(within):
            while (found := await self.ledger.job(job.id)) is None or found.job.state not in states:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            await self.pool.settled()

    async def until_claimed(self, job: Job, within: float = 60.0) -> None:
        """Waits until a worker has the ledger's leave to send it."""
        async with asyncio.timeout(within):
            while (found := await self.ledger.job(job.id)) is None or found.job.state != "sending":  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def attempt(self, job: Job) -> tuple[int, Outcome | None]:
        """The number and the outcome of its newest attempt."""
        newest = (await self.ledger.attempts(job.id))[-1]
        return newest.number, newest.outcome

    async def dead(self, count: int) -> Sequence[dict[str, Any]]:
        """The headers of that many dead letters."""
        if isinstance(self.source, ChannelSource):
            async with asyncio.timeout(60):
                while len(self.source.dead) < count:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            return [dict(letter.headers) for letter in self.source.dead]
        assert self.url is not None
        return [dict(message.headers) for message in await broker.drain(self.url, DEAD_QUEUE, count)]


@asynccontextmanager
async def working(
    url: str | None, policy: Policy = "resend", server: Inbox | None = None, **options: Any
) -> AsyncIterator[Works]:
    """Everything running."""
    async with server or Inbox() as inbox:
        works = Works(url, inbox, policy, **options)
        await works.start()
        try:
            yield works
        finally:
            await works.close()

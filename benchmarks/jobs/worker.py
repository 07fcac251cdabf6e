"""Chopar's side where no mail is sent: `python -m benchmarks.jobs.worker publish`, or without it the pool with its ledger.

The pool's own parts at work, with a task that only asks for the permission that each mail needs: its claim is committed before,
its outcome after it. A job is marked when it is acknowledged, which comes last.
"""

import asyncio
import uuid

from activity.jobs import Job
from activity.outcomes import Outcome, Retry, Sent
from benchmarks.peers.jobs.work import Marks, order, place, publish_window, publishes, told
from rabbit.__main__ import until_signal
from rabbit.consequences import Terms
from rabbit.consumer import RabbitSource
from rabbit.lifecycle import Change, Lifecycle
from rabbit.loop import run_fast
from rabbit.outage import Outage
from rabbit.pool import Limits, Pool
from rabbit.publisher import Publisher
from rabbit.tasks import Permission, Task, Tasks
from store.opening import open_store

WORKERS = 64
AT_ONCE = 2_000


def job(number: int, task: str = "email") -> Job:
    """An order's confirmation."""
    event = {
        "id": str(number),
        "source": "/shop",
        "type": "order.placed",
        "subject": "u-1",
        "time": None,
        "data": order(number),
    }
    return Job(
        id=str(uuid.UUID(int=number)),
        task=task,
        rule="order_confirmation",
        job_class="transactional",
        user="u-1",
        to="joerg@example.com",
        template="order_confirmation",
        event=event,
    )


class Marked:
    """A lifecycle that also marks what was sent."""

    def __init__(self, lifecycle: Lifecycle, marks: Marks) -> None:
        self._lifecycle, self._marks = lifecycle, marks

    def tell(self, change: Change) -> None:
        """See `rabbit.lifecycle.Listener.tell`."""
        self._lifecycle.tell(change)
        if change.state == "sent":
            self._marks.note(number_of(change.job))


def number_of(id: str) -> int:
    """The order's number again."""
    return int(id[-12:], 16)


def nothing(begun: Marks | None) -> Task:
    """The task. Where latencies are measured it notes when it was begun, which is where the peers' handlers are marked."""

    async def do(job: Job, permission: Permission) -> Outcome:
        if begun is not None:
            begun.note(number_of(job.id))
        return Sent() if await permission() else Retry("not permitted")

    return do


async def answers() -> bool:
    """There is no far end that could be away."""
    return True


async def publish() -> None:
    where = place()
    async with Publisher(where.rabbit) as publisher:
        await publisher.ready()
        if where.rate:
            await publish_window(lambda number: publisher.publish([job(number)]))
            return
        loop = asyncio.get_running_loop()
        began = loop.time()
        for at in range(0, where.jobs, AT_ONCE):
            await publisher.publish([job(number) for number in range(at, min(at + AT_ONCE, where.jobs))])
        told(loop.time() - began)


async def work() -> None:
    where = place()
    tasks = Tasks()
    tasks.task("email")(nothing(Marks(where.folder, "begun") if where.rate else None))
    rabbit = Outage("RabbitMQ")
    async with open_store(f"sqlite:///{where.folder}/chopar.db") as store:
        source = RabbitSource(where.rabbit, WORKERS, rabbit)
        publisher, lifecycle = Publisher(where.rabbit, rabbit), Lifecycle(where.rabbit, rabbit)
        pool = Pool(
            source=source,
            outbox=publisher,
            ledger=store.ledger("resend"),
            outcomes=store.jobs,
            tasks=tasks,
            listener=Marked(lifecycle, Marks(where.folder)),
            probe=answers,
            terms=Terms(8, 1.0, 3600.0, "resend", {}),
            limits=Limits(WORKERS),
        )
        try:
            await until_signal(pool, source.run(), lifecycle.run())
        finally:
            await asyncio.gather(*(part.close() for part in (source, publisher, lifecycle)))


if __name__ == "__main__":
    run_fast(publish() if publishes() else work())

"""A mailer's process whose tasks may kill it: `poisoned.py AMQP-URL STORE-URL`. Its tasks: `good`, `before`, `after`.

`before` kills the process when it is begun, `after` when its claim is granted. Short leases, so that tests need not wait long.
"""

import asyncio
import os
import signal
import sys
from typing import Final, NoReturn

from activity.jobs import Job
from activity.outcomes import Outcome, Sent
from rabbit.consequences import Terms
from rabbit.consumer import RabbitSource
from rabbit.outage import Outage
from rabbit.pool import Limits, Pool
from rabbit.publisher import Publisher
from rabbit.tasks import Permission, Tasks
from store.opening import open_store
from tests.rabbit.fakes import FakeListener

TIMEOUT: Final = 1.0
tasks: Final = Tasks()


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


@tasks.task("good")
async def good(_job: Job, permission: Permission) -> Outcome:
    await asyncio.sleep(0.02)
    await permission()
    return Sent()


@tasks.task("before")
async def before(_job: Job, _permission: Permission) -> Outcome:
    die()


@tasks.task("after")
async def after(_job: Job, permission: Permission) -> Outcome:
    if await permission():
        die()
    return Sent()


async def answers() -> bool:
    return True


async def main(rabbit: str, url: str) -> None:
    outage = Outage("RabbitMQ")
    source = RabbitSource(rabbit, 4, outage)
    async with open_store(url) as store, Publisher(rabbit, outage) as publisher:
        pool = Pool(
            source=source,
            outbox=publisher,
            ledger=store.ledger("resend"),
            outcomes=store.jobs,
            tasks=tasks,
            listener=FakeListener(),
            probe=answers,
            terms=Terms(base=0.1, cap=0.5),
            limits=Limits(4, TIMEOUT),
        )
        async with pool:
            pool.add_future(source.run())
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

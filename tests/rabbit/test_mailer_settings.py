"""The mailer as a process goes by what is set: policy, limits of domains, backoff by kind of failure."""

import asyncio
import sqlite3
from pathlib import Path

from activity.names import delay_queue
from activity.retry import TIERS
from rabbit.publisher import Publisher
from store.change import LEASE_OVER
from tests.installation import Installation
from tests.processes import MAILER
from tests.rabbit import broker
from tests.rabbit.inbox import Inbox
from tests.rabbit.orders import make_job

LONG = tuple(delay_queue(seconds) for seconds in TIERS if seconds > 1)


def leases_are_over(store: Path) -> None:
    with sqlite3.connect(store, timeout=30) as database:
        database.execute("update job set until = 0 where state = 'sending'")
    database.close()


async def test_policy_limits_and_backoff_are_those_that_are_set(rabbit: str, tmp_path: Path) -> None:
    """One is killed between a mail's last byte and the answer: with `resend` that mail would be sent again. Of two mails to a
    domain that gets one an hour one waits for its turn, and a refused one for longer than the usual second."""
    names = ("held.example", "narrow.example", "narrow.example", "later.example")
    held, *others = (make_job(number, to=f"u-{number}@{name}") for number, name in enumerate(names))
    settings = {
        "CHOPAR_UNKNOWN_OUTCOME": "hold",
        "CHOPAR_DOMAIN_LIMITS": "narrow.example=1/h",
        "CHOPAR_RETRY_KINDS": "refused=4096s..24h",
        "CHOPAR_RETRY_BASE": "100ms",
        "CHOPAR_RETRY_CAP": "1s",
        "CHOPAR_SMTP_TIMEOUT": "20s",
    }
    async with Inbox() as inbox, Publisher(rabbit) as publisher:
        ours = Installation(tmp_path, "", rabbit, inbox.url, **settings)
        inbox.replies[others[-1].to] = ["451 later"] * 100
        inbox.hold = asyncio.Event()
        doomed = ours.process(MAILER, "doomed")
        async with ours.running(doomed):
            await publisher.publish([held])
            await asyncio.wait_for(inbox.reached.wait(), 60)
            doomed.kill()
        inbox.hold.set()
        leases_are_over(ours.store)
        async with ours.running(ours.mailer):
            await publisher.publish(others)
            ended = {"sent": 1, "unknown": 1, "waiting": 1}
            await ours.until(lambda: dict(ours.rows("select state, count(*) from job group by state")) == ended, "as it is set")
            async with asyncio.timeout(60):
                while sum([await broker.waiting(rabbit, queue) for queue in LONG]) != 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
            assert ours.mailer.stop() == 0
        assert ours.rows("select id, reason from job where state = 'unknown'") == [(held.id, LEASE_OVER)]
        assert ours.rows("select recipient, attempt from job where state = 'waiting'") == [(others[-1].to, 1)]

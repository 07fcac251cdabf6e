"""SIGKILL at each named point of the mail side: nothing lost, none twice but those called `unknown`, each failure dead."""

import asyncio
import signal
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from activity.jobs import Job, encode_job
from rabbit.failpoints import POINTS
from rabbit.publisher import Publisher
from tests.chaos.mail.checker import check
from tests.chaos.mail.evidence import Given, gather
from tests.chaos.mail.run import drained
from tests.chaos.mail.sink import Sink
from tests.installation import Installation
from tests.processes import MAILER, Process
from tests.rabbit.orders import make_job

LAST_BYTE = "last-byte"
"""No place in the mailer but on the wire: the mail server has the whole mail and has not answered."""
NAMED = [point for point in POINTS if point.startswith(("mailer.", "intake.", "scheduler."))]
JOBS = 40
KINDS = ("some", "later", "some", "never", "later")
MAX_ATTEMPTS = 5


def answer(recipient: str, number: int) -> str:
    if recipient.startswith("never"):
        return "550 5.1.1 no such user"
    return "450 4.2.1 mailbox busy" if recipient.startswith("later") and number == 1 else ""


def orders(part: int) -> list[Job]:
    """Mails that are taken at once, at the second try, never; some wait for a time that is far off."""
    found = []
    for number in range(part * JOBS, (part + 1) * JOBS):
        to = f"{KINDS[number % 5]}-{number}@shop.example"
        job = make_job(number, to=to, job_class="bulk" if number % 3 else "transactional")
        found.append(job if number % 4 else replace(job, send_at=datetime.now(UTC) + timedelta(hours=1)))
    return found


def time_passes(store: Path) -> None:
    """What waits is due, and no dead mailer's lease on it holds."""
    with sqlite3.connect(store, timeout=30) as database:
        database.execute("update job set due = 0, until = 0 where state = 'scheduled'")
    database.close()


async def killed(point: str, doomed: Process, ours: Installation, sink: Sink) -> None:
    if point == LAST_BYTE:
        sink.hold = asyncio.Event()
        sink.reached.clear()
        await asyncio.wait_for(sink.reached.wait(), 120)
        doomed.kill()
        sink.hold.set()
        sink.hold = None

    def has_died() -> bool:
        time_passes(ours.store)
        return not doomed.running

    await ours.until(has_died, f"killed at {point}")
    assert doomed.wait() == -signal.SIGKILL


@pytest.mark.timeout(500)
async def test_one_mailer_after_the_other_is_killed(rabbit: str, tmp_path: Path) -> None:
    """Each at another point, over mails of its own and what the one before left. After two of them one ends what is there: what
    three begin and die with is to be dead (`test_poison.py`)."""
    given: dict[str, Given] = {}

    def have_ended() -> bool:
        time_passes(ours.store)
        return ours.ended() == len(given)

    settings = {"CHOPAR_RETRY_BASE": "100ms", "CHOPAR_RETRY_CAP": "1s", "CHOPAR_SMTP_TIMEOUT": "1s"}
    async with Sink(answer) as sink, Publisher(rabbit) as publisher:
        ours = Installation(tmp_path, "", rabbit, sink.url, CHOPAR_MAX_ATTEMPTS=str(MAX_ATTEMPTS), **settings)
        for part, point in enumerate([*NAMED, LAST_BYTE]):
            passes = 2 if point.startswith("mailer.") else 1  # the others take all that is there at once
            failpoint = {} if point == LAST_BYTE else {"FAILPOINT": f"{point}:{passes}"}
            doomed = ours.process(MAILER, f"doomed-{part}", **failpoint)
            async with ours.running(doomed):
                jobs = orders(part)
                given |= {job.id: Given(encode_job(job), job.to.startswith("never")) for job in jobs}
                await publisher.publish(jobs)
                await killed(point, doomed, ours, sink)
            if part % 2:
                async with ours.running(ours.mailer):
                    await ours.until(have_ended, "all jobs ended")
        async with ours.running(ours.mailer):
            await ours.until(have_ended, "all jobs ended")
            assert await drained(rabbit, ours, len(given), 120), "no copy of a job is left"
            assert ours.mailer.stop() == 0
        evidence = await gather(given, [], sink.handed, ours.store, rabbit)
    findings = check(evidence, MAX_ATTEMPTS)
    assert findings.broken == {}, findings.counts
    assert findings.counts["attempts unknown"] >= 3, "claimed, answered, the last byte: nobody knows what came of these"

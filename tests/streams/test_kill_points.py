"""SIGKILL at each named point of the stream side: promises 1 to 3 hold after the next start."""

import signal
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rabbit.failpoints import POINTS, armed
from tests.installation import Installation, read_log, send
from tests.processes import NOTIFIER, WORKER, Process
from tests.rabbit.inbox import Inbox
from tests.streams.test_outage import events

COMMIT = [point for point in POINTS if point.startswith("consumer.")]
OF_WORKER = [point for point in POINTS if point.startswith(("sequencer.", "archiver.", "desk.", "producer."))] + COMMIT
OF_NOTIFIER = [point for point in POINTS if point.startswith("notifier.")] + COMMIT


def pass_of(point: str) -> str:
    """At the second pass, where there is sure to be one: a commit may be for all at once, and there are few dead letters."""
    return f"{point}:{1 if point in COMMIT or point.startswith('desk.') else 2}"


async def killed_at(point: str, doomed: Process, ours: Installation, given: list[dict[str, Any]], kafka_url: str) -> None:
    """Start it, send it what it dies of."""
    async with ours.running(doomed):
        await send(kafka_url, given, rate=400)
        await ours.until(lambda: not doomed.running, f"killed at {point}")
        assert doomed.wait() == -signal.SIGKILL


@pytest.mark.timeout(600)
async def test_one_worker_after_the_other_is_killed(kafka_url: str, tmp_path: Path) -> None:
    """Each at another point, over users of its own and what the one before left; their names tell the point."""
    run = f"k{uuid.uuid4().hex[:8]}"
    ours = Installation(tmp_path, kafka_url)
    users = {point: [f"{run}-{point}-{n}" for n in range(15)] for point in OF_WORKER}
    for point in OF_WORKER:
        doomed = ours.process(WORKER, f"doomed-{point}", FAILPOINT=pass_of(point))
        refused = [{**event, "specversion": "0.3"} for event in events(users[point], 21, 21)]
        await killed_at(point, doomed, ours, events(users[point], 1, 20) + refused, kafka_url)
    letters = "select count(*) from dead_letter where user_id like ?"
    async with ours.running(ours.worker):
        await ours.until(lambda: ours.stored(f"{run}-") == 300 * len(OF_WORKER), "all events stored")
        await ours.until(lambda: ours.rows(letters, f"{run}-%")[0][0] >= 15 * len(OF_WORKER), "all dead letters kept")
    assert ours.rows(letters, f"{run}-%")[0][0] == 15 * len(OF_WORKER), "each once"
    log = await read_log(kafka_url, {user for of_point in users.values() for user in of_point})
    assert len(log) == 15 * len(OF_WORKER)
    for user, records in log.items():
        wanted = [(n, f"{user}-{n}") for n in range(1, 21)]
        assert sorted(set(records)) == wanted, "each event has one position, and no position is missing"
        assert ours.rows("select position, event_id from activity where user_id = ? order by position", user) == wanted


@pytest.mark.timeout(600)
async def test_one_notifier_after_the_other_is_killed(kafka_url: str, rabbit_url: str, tmp_path: Path) -> None:
    run = f"k{uuid.uuid4().hex[:8]}"
    wanted = []
    async with Inbox() as inbox:
        ours = Installation(tmp_path, kafka_url, rabbit_url, inbox.url)
        async with ours.running(ours.worker, ours.mailer):
            for point in OF_NOTIFIER:
                signed_up = [
                    {**event, "type": "user.signed_up", "data": {"email": f"{event['id']}@shop.example", "name": "Ann"}}
                    for event in events([f"{run}-{point}-{n}" for n in range(20)], 1, 5)
                ]
                wanted += [event["data"]["email"] for event in signed_up]
                doomed = ours.process(NOTIFIER, f"doomed-{point}", FAILPOINT=pass_of(point))
                await killed_at(point, doomed, ours, signed_up, kafka_url)
            async with ours.running(ours.notifier):
                sent = "select count(*) from job where user_id like ? and state = 'sent'"
                await ours.until(lambda: ours.rows(sent, f"{run}-%")[0][0] == len(wanted), "all mails sent")
    got = Counter(str(mail["To"]) for mail in inbox.mails if run in str(mail["To"]))
    assert got == Counter(wanted), "each once"


@pytest.mark.parametrize("wrong", ["sequencer.nowhere:1", "sequencer.taken", "sequencer.taken:x", "x"])
def test_a_point_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="FAILPOINT: expected one of"):
        armed(wrong)


def test_without_the_variable_nothing_happens() -> None:
    armed(None)("sequencer.taken")

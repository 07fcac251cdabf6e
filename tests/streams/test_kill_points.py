"""SIGKILL at each named point of the stream side: promises 1 to 3 hold after the next start."""

import signal
import uuid
from collections import Counter
from pathlib import Path

import pytest

from agents.failpoints import POINTS, armed
from tests.installation import Installation, read_log, send
from tests.processes import NOTIFIER, WORKER
from tests.rabbit.inbox import Inbox
from tests.streams.test_outage import events

OF_WORKER = [point for point in POINTS if not point.startswith("notifier.")]
OF_NOTIFIER = [point for point in POINTS if point.startswith("notifier.")]


@pytest.mark.parametrize("point", OF_WORKER)
async def test_the_worker_is_killed(point: str, kafka_url: str, tmp_path: Path) -> None:
    run = f"k{uuid.uuid4().hex[:8]}"
    users = [f"{run}-{n}" for n in range(20)]
    ours = Installation(tmp_path, kafka_url)
    doomed = ours.process(WORKER, "doomed", FAILPOINT=f"{point}:2")
    async with ours.running(doomed):
        await send(kafka_url, events(users, 1, 20), rate=400)
        await ours.until(lambda: not doomed.running, f"killed at {point}")
        assert doomed.wait() == -signal.SIGKILL
    async with ours.running(ours.worker):
        await ours.until(lambda: ours.stored(f"{run}-") == 400, "all events stored")
    for user, records in (await read_log(kafka_url, set(users))).items():
        wanted = [(n, f"{user}-{n}") for n in range(1, 21)]
        assert sorted(set(records)) == wanted, "each event has one position, and no position is missing"
        assert ours.rows("select position, event_id from activity where user_id = ? order by position", user) == wanted


@pytest.mark.parametrize("point", OF_NOTIFIER)
async def test_the_notifier_is_killed(point: str, kafka_url: str, rabbit_url: str, tmp_path: Path) -> None:
    run = f"k{uuid.uuid4().hex[:8]}"
    signed_up = [
        {**event, "type": "user.signed_up", "data": {"email": f"{event['id']}@shop.example", "name": "Ann"}}
        for event in events([f"{run}-{n}" for n in range(20)], 1, 10)
    ]
    async with Inbox() as inbox:
        ours = Installation(tmp_path, kafka_url, rabbit_url, inbox.url)
        doomed = ours.process(NOTIFIER, "doomed", FAILPOINT=f"{point}:2")
        async with ours.running(ours.worker, ours.mailer, doomed):
            await send(kafka_url, signed_up, rate=200)
            await ours.until(lambda: not doomed.running, f"killed at {point}")
            assert doomed.wait() == -signal.SIGKILL
            async with ours.running(ours.notifier):
                sent = "select count(*) from job where user_id like ? and state = 'sent'"
                await ours.until(lambda: ours.rows(sent, f"{run}-%")[0][0] == 200, "all mails sent")
    got = Counter(str(mail["To"]) for mail in inbox.mails if run in str(mail["To"]))
    assert got == Counter(f"{event['id']}@shop.example" for event in signed_up), "each once"


@pytest.mark.parametrize("wrong", ["sequencer.nowhere:1", "sequencer.taken", "sequencer.taken:x", "x"])
def test_a_point_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="FAILPOINT: expected one of"):
        armed(wrong)


def test_without_the_variable_nothing_happens() -> None:
    armed(None)("sequencer.taken")

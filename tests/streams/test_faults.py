"""Faults D, E and F on a real Kafka: an agent that raises, a send that fails, a state that would be too large."""

import sys
import uuid
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from activity.chunk import Chunk
from streams.exits import SOFTWARE
from streams.outputs import Outputs
from tests.activity.examples import Record, chunk
from tests.installation import Installation, read_log, send
from tests.streams.lab import Lab
from tests.streams.test_outage import events
from tests.streams.test_poison import dead_of


async def nothing(chunk: Chunk) -> None:
    chunk.done()


async def test_what_an_agent_raised_over_is_read_again(kafka_url: str, tmp_path: Path) -> None:
    """Fault D: Faust acknowledges it and goes on."""
    run = f"d{uuid.uuid4().hex[:8]}"
    users = [f"{run}-{n}" for n in range(20)]
    ours = Installation(tmp_path, kafka_url)
    raising = ours.process((sys.executable, "-m", "tests.streams.raising_worker"), "raising")
    async with ours.running(raising):
        await send(kafka_url, events(users, 1, 20), rate=500)
        await ours.until(lambda: not raising.running, "it ends")
        assert raising.left == SOFTWARE
        assert "raised RuntimeError: a bug" in raising.tail()
    async with ours.running(ours.worker):
        await ours.until(lambda: ours.stored(run) == 400, "all stored")
    for user, records in (await read_log(kafka_url, set(users))).items():
        assert sorted(set(records)) == [(n, f"{user}-{n}") for n in range(1, 21)]


async def test_a_send_that_kafka_refuses_is_raised_not_only_logged(kafka_url: str) -> None:
    """Fault E: the offset of what led to it must not be committed."""
    lab = await Lab(kafka_url).create()
    small = f"{lab.group}-small"
    admin = AIOKafkaAdminClient(bootstrap_servers=lab.address)
    await admin.start()
    await admin.create_topics([NewTopic(small, 1, 1, topic_configs={"max.message.bytes": "1000"})])
    await admin.close()
    async with lab.running(nothing) as app:
        outputs, given = Outputs(app), chunk(Record(b"k", b"v"))
        await outputs.send(given, {(small, 0): [(b"k", b"fits", [])]})
        with pytest.raises(KafkaError):
            await outputs.send(given, {(lab.changelog, 0): [(b"k", b"fits", [])], (small, 0): [(b"k", b"x" * 5000, [])]})


async def test_a_user_of_whom_too_much_waits_stops_nobody(kafka_url: str, tmp_path: Path) -> None:
    """Fault F: a value over 1 MB would end the worker, again and again."""
    run = f"f{uuid.uuid4().hex[:8]}"
    users = [f"{run}-much", f"{run}-little"]
    much = [{**event, "data": "x" * 90_000} for event in events(users[:1], 2, 14)]
    ours = Installation(tmp_path, kafka_url)
    async with ours.running(ours.worker):
        await send(kafka_url, much + events(users[1:], 1, 9), rate=10_000)
        await ours.until(lambda: ours.stored(users[1]) == 9, "those behind it stored")
        refused = [record for record in await dead_of(kafka_url, users[0]) if record.key == users[0].encode()]
        assert {dict(record.headers)["chopar-reason"] for record in refused} == {b"state-full"}
        waited = len(much) - len(refused)
        assert waited >= 5
        await send(kafka_url, events(users[:1], 1, 1), rate=10_000)
        await ours.until(lambda: ours.stored(users[0]) == waited + 1, "the first and what waited for it stored")
        assert ours.worker.running

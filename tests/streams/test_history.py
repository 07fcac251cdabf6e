"""A topic that was made anew under a table that remembers the old one, and one that lost its end."""

import asyncio
import uuid
from pathlib import Path
from typing import Any, cast

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import UnknownTopicOrPartitionError
from faust.types import TP

from activity import names
from activity.errors import Mismatch
from activity.settings import parse_settings
from brokers.kafka import Kafka
from brokers.node import Node
from streams.history import check_history
from streams.identity import topic_identity
from tables.states import MemoryStates
from tests.installation import Installation, send
from tests.streams.test_outage import events


async def test_new_events_under_an_old_table_are_refused_not_taken_for_repeats(
    private_kafka: Node[Kafka], tmp_path: Path
) -> None:
    ours = Installation(tmp_path, private_kafka.url)
    async with ours.running(ours.worker):
        await send(private_kafka.url, events(["u-1"], 1, 20), rate=10_000)
        await ours.until(lambda: ours.stored("u-") == 20, "stored")
        assert ours.worker.stop() == 0
    admin = AIOKafkaAdminClient(bootstrap_servers=private_kafka.url.removeprefix("kafka://"))
    await admin.start()
    await admin.delete_topics([names.EVENTS])
    await admin.close()
    ours.worker.start()
    assert ours.worker.wait(120) == 1
    assert "the topic was made anew; delete chopar-users-changelog as well" in ours.worker.tail()


class Ends:
    """A consumer that knows of these ends."""

    def __init__(self, ends: dict[TP, int | None]) -> None:
        self.ends = ends

    async def highwaters(self, *tps: TP) -> dict[TP, int | None]:
        return {tp: self.ends.get(tp) for tp in tps}


@pytest.mark.parametrize(("end", "fits"), [(9, True), (8, True), (7, False), (None, False)])
async def test_a_disk_that_knows_more_of_the_changelog_than_kafka_is_refused(end: int | None, fits: bool) -> None:
    states = MemoryStates()
    states.put({}, 7)
    users = cast(Any, type("Users", (), {"partitions_here": {1: states}, "newest_offsets": dict}))
    consumer = Ends({TP(names.USERS_CHANGELOG, 1): end})
    if fits:
        await check_history(consumer, users())
    else:
        with pytest.raises(Mismatch, match="Kafka has lost records; delete the folder `chopar/states`"):
            await check_history(consumer, users())


async def until(code: int, admin: AIOKafkaAdminClient, name: str) -> None:
    """Kafka answers before it knows of a new topic, or a deleted one, everywhere."""
    async with asyncio.timeout(60):
        while [topic["error_code"] for topic in await admin.describe_topics([name])] != [code]:  # noqa: ASYNC110  (Kafka tells nobody)
            await asyncio.sleep(0.1)


async def test_a_topic_made_anew_is_another_one(kafka_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, name = parse_settings({"CHOPAR_KAFKA_URL": kafka_url}), f"t-{uuid.uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_url.removeprefix("kafka://"))
    await admin.start()
    try:
        found = []
        for _ in range(2):
            await admin.create_topics([NewTopic(name, 1, 1)])
            await until(0, admin, name)
            found += [await topic_identity(settings, name), await topic_identity(settings, name)]
            await admin.delete_topics([name])
            await until(UnknownTopicOrPartitionError.errno, admin, name)
    finally:
        await admin.close()
    assert found[0] == found[1] != found[2] == found[3]
    assert name in found[0]
    with pytest.raises(Mismatch, match=f"topic {name} can't be looked up: UnknownTopicOrPartitionError"):
        await topic_identity(settings, name)

    async def too_old(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(AIOKafkaAdminClient, "_send_request", too_old)
    with pytest.raises(Mismatch, match="CHOPAR_TABLE_STORE: rocksdb needs Kafka"):
        await topic_identity(settings, name)

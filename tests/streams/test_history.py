"""A topic that was made anew under a table that remembers the old one."""

from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from activity import names
from brokers.kafka import Kafka
from brokers.node import Node
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

"""Topics on a real Kafka of the test's own, since their names are fixed."""

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from activity import names
from activity.errors import Mismatch, SettingError, Unreachable
from activity.settings import Settings
from brokers import ports
from brokers.kafka import Kafka
from brokers.node import Node
from streams.topics import check_topics, ensure_topics, kafka_address


async def create(settings: Settings, *topics: NewTopic) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_address(settings))
    await admin.start()
    try:
        await admin.create_topics(list(topics))
    finally:
        await admin.close()


async def test_topics_are_created_once_and_checked(private_kafka: Node[Kafka]) -> None:
    settings = Settings(kafka_url=private_kafka.url, partitions=3)
    assert [state.partitions for state in await check_topics(settings)] == [None] * 4
    assert set(await ensure_topics(settings)) == {names.EVENTS, names.LOG, names.DEAD, names.USERS_CHANGELOG}
    assert await ensure_topics(settings) == []
    states = await check_topics(settings)
    assert [(state.partitions, state.problem) for state in states] == [(3, None)] * 4

    with pytest.raises(Mismatch, match=r"activity\.events has 3 partitions, CHOPAR_PARTITIONS says 4: set it to 3"):
        await ensure_topics(msgspec.structs.replace(settings, partitions=4))


async def test_a_topic_with_the_senders_time_is_refused(private_kafka: Node[Kafka]) -> None:
    """A gap's age is told by the broker's time: the sender's own could differ at each reading of a clock."""
    settings = Settings(kafka_url=private_kafka.url, partitions=1)
    await create(settings, NewTopic(names.EVENTS, 1, 1, topic_configs={"message.timestamp.type": "CreateTime"}))
    with pytest.raises(Mismatch, match=r"message\.timestamp.type=CreateTime, LogAppendTime is needed"):
        await ensure_topics(settings)
    assert [state.name for state in await check_topics(settings) if state.partitions] == [names.EVENTS]


async def test_no_broker_is_one_clear_error() -> None:
    where = f"127.0.0.1:{ports.choose(1)[0]}"
    with pytest.raises(Unreachable, match=f"CHOPAR_KAFKA_URL: no answer from {where} .*`chopar up`"):
        await ensure_topics(Settings(kafka_url=f"kafka://{where}"))


def test_no_url_is_one_clear_error() -> None:
    with pytest.raises(SettingError, match="CHOPAR_KAFKA_URL: is not set and no `chopar up` runs here"):
        kafka_address(Settings())

"""The topics: created when they are missing, checked when they are there."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError
from aiokafka.partitioner import murmur2

from activity import names
from activity.errors import Mismatch, SettingError, Unreachable
from activity.settings import PREFIX, Settings


class Topic(msgspec.Struct, frozen=True):
    """A topic as it has to be."""

    name: str
    partitions: int
    config: Mapping[str, str]


class TopicState(msgspec.Struct, frozen=True):
    """A topic as it is: `partitions` is None when it is missing; `problem` says what is wrong and what to do."""

    name: str
    partitions: int | None
    problem: str | None = None


LARGEST_RECORD: Final = 2 * 1024 * 1024


def wanted(partitions: int) -> list[Topic]:
    """The topics of an installation with `partitions` partitions.

    `activity.events` carries the broker's own time: the age of a gap is told by it, the same at every reading.
    """
    largest = {"max.message.bytes": str(LARGEST_RECORD)}
    compacted = {
        "cleanup.policy": "compact",
        "segment.bytes": str(64 * 1024 * 1024),
        "min.cleanable.dirty.ratio": "0.2",
        "max.compaction.lag.ms": str(24 * 3600 * 1000),
    }
    return [
        Topic(names.EVENTS, partitions, {"message.timestamp.type": "LogAppendTime", **largest}),
        Topic(names.LOG, partitions, largest),
        Topic(names.DEAD, partitions, largest),
        Topic(names.USERS_CHANGELOG, partitions, compacted),
    ]


async def ensure_topics(settings: Settings) -> list[str]:
    """Create the topics that are missing; gives their names.

    Raises Unreachable when Kafka does not answer, Mismatch when a topic is there but can't be used.
    """
    async with admin_client(settings) as admin:
        states = await _states(admin, settings.partitions)
        _check(states)
        missing = {state.name for state in states if state.partitions is None}
        new = [topic for topic in wanted(settings.partitions) if topic.name in missing]
        for topic in new:
            await _create(admin, topic)
        _check(await _until_there(admin, settings.partitions))  # one that seemed missing may have been another's, and just made
        return [topic.name for topic in new]


async def check_topics(settings: Settings) -> list[TopicState]:
    """How each topic stands. Raises Unreachable when Kafka does not answer."""
    async with admin_client(settings) as admin:
        return await _states(admin, settings.partitions)


def kafka_address(settings: Settings) -> str:
    """`host:port` of the Kafka that the settings name. Raises SettingError when they name none."""
    if settings.kafka_url is None:
        raise SettingError(
            f"{PREFIX}KAFKA_URL",
            "is not set and no `chopar up` runs here, or it is not ready yet; start it, or set kafka://host:port",
        )
    parts = urlsplit(settings.kafka_url)
    return f"{parts.hostname}:{parts.port or 9092}"


def partition_of(key: bytes, partitions: int) -> int:
    """Where Kafka's default partitioner puts `key` (murmur2, `org.apache.kafka.common.utils.Utils`)."""
    number: int = (murmur2(key) & 0x7FFFFFFF) % partitions
    return number


@asynccontextmanager
async def admin_client(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A connected one. Raises Unreachable when Kafka does not answer, also later on."""
    address = kafka_address(settings)
    admin = AIOKafkaAdminClient(bootstrap_servers=address, client_id=names.APP, request_timeout_ms=10_000)
    try:
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()
    except KafkaError as error:
        remedy = "is Kafka up? `chopar up` starts one"
        raise Unreachable(f"{PREFIX}KAFKA_URL", address, str(error) or type(error).__name__, remedy) from None


async def _create(admin: AIOKafkaAdminClient, topic: Topic) -> None:
    # -1: as many replicas as the broker's default.replication.factor says; the empty assignment lets the client pass it on
    new = NewTopic(topic.name, topic.partitions, -1, {}, dict(topic.config))
    response = await admin.create_topics([new])
    for name, code, *rest in response.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise Mismatch(f"topic {name} can't be created: {rest[0] if rest else code}")


def _check(states: Sequence[TopicState]) -> None:
    """Raises Mismatch for what is there and can't be used."""
    problems = [state.problem for state in states if state.partitions is not None and state.problem]
    if problems:
        raise Mismatch("; ".join(problems))


async def _until_there(admin: AIOKafkaAdminClient, partitions: int) -> list[TopicState]:
    """Kafka answers before every broker knows of a new topic."""
    for _ in range(300):
        states = await _states(admin, partitions)
        if all(state.partitions for state in states):
            return states
        await asyncio.sleep(0.1)
    raise Mismatch("Kafka created the topics but does not show them; try again")


async def _states(admin: AIOKafkaAdminClient, partitions: int) -> list[TopicState]:
    topics = wanted(partitions)
    described = await admin.describe_topics([topic.name for topic in topics])
    counts = {entry["topic"]: len(entry["partitions"]) for entry in described if entry["error_code"] == 0}
    timestamps = await _timestamp_type(admin) if names.EVENTS in counts else None
    return [_state(topic, counts.get(topic.name), timestamps) for topic in topics]


def _state(topic: Topic, partitions: int | None, timestamps: str | None) -> TopicState:
    if partitions is None:
        return TopicState(topic.name, None, "is missing; `chopar topics` creates it")
    problem = None
    if partitions != topic.partitions:
        problem = (
            f"topic {topic.name} has {partitions} partitions, {PREFIX}PARTITIONS says {topic.partitions}: "
            f"set it to {partitions}, or use other topics (a user's history can't move to another partition)"
        )
    elif topic.name == names.EVENTS and timestamps != "LogAppendTime":
        problem = (
            f"topic {topic.name} has message.timestamp.type={timestamps}, LogAppendTime is needed: "
            f"kafka-configs --alter --topic {topic.name} --add-config message.timestamp.type=LogAppendTime"
        )
    return TopicState(topic.name, partitions, problem)


async def _timestamp_type(admin: AIOKafkaAdminClient) -> str | None:
    responses: Sequence[Any] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, names.EVENTS)])
    for response in responses:
        for resource in response.resources:
            for entry in resource[4]:
                if entry[0] == "message.timestamp.type":
                    return str(entry[1])
    return None

"""Consumer groups: who reads which partition, how far, and setting that anew while nobody does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any, Final, TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import (
    CommitFailedError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
    for_code,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from activity import names
from activity.errors import InUse, Mismatch, Unreachable
from activity.pace import Bounds
from activity.settings import PREFIX, Settings
from streams.topics import kafka_address

T = TypeVar("T")

PATIENCE: Final = 20.0
"""Seconds that Kafka gets to say who coordinates a group; a new Kafka first has to create the topic that it keeps it in."""
TIMEOUT_MS: Final = 15_000
_UNSETTLED: Final = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)


class Member(msgspec.Struct, frozen=True):
    """A worker of a group and the partitions it has."""

    client: str
    host: str
    partitions: frozenset[tuple[str, int]]


class Group(msgspec.Struct, frozen=True):
    """A group. While partitions are moving between its members they are nobody's."""

    name: str
    state: str
    members: list[Member]

    def owner(self, topic: str, partition: int) -> Member | None:
        """Who reads the partition."""
        return next((member for member in self.members if (topic, partition) in member.partitions), None)


class Groups:
    """What Kafka says about groups and topics. Changes nothing but in `move`. Raises Unreachable when Kafka does not answer."""

    def __init__(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, where: str) -> None:
        self._admin, self._consumer, self._where = admin, consumer, where

    async def group(self, name: str) -> Group:
        """The group as it is; one that was never there has no members."""

        async def describe() -> Group:
            answers = await self._admin.describe_consumer_groups([name])  # one at a time: the answer for more is misread
            code, _, state, _, _, members, *_ = answers[0].groups[0]
            if code:
                raise for_code(code)(name)
            return Group(name, state or "Dead", [_member(member) for member in members])

        return await self._settled(describe)

    async def positions(self, name: str, topic: str) -> dict[int, int]:
        """The offset that the group goes on from, by partition, where it has committed one."""
        found = await self.all_positions(name)
        return {partition: offset for (of, partition), offset in found.items() if of == topic}

    async def all_positions(self, name: str) -> dict[tuple[str, int], int]:
        """The same for all topics of the group."""
        found = await self._settled(lambda: self._admin.list_consumer_group_offsets(name))
        return {(tp.topic, tp.partition): committed.offset for tp, committed in found.items() if committed.offset >= 0}

    async def topics(self) -> dict[str, int]:
        """Every topic that Kafka lets us see, by name, with how many partitions it has; without those that are Kafka's own."""
        described = await self._admin.describe_topics()
        return {one["topic"]: len(one["partitions"]) for one in described if not one["error_code"] and not one["is_internal"]}

    async def bounds(self, topic: str) -> dict[int, Bounds]:
        """What each partition of `topic` holds. Raises Mismatch if there is no such topic."""
        return (await self.all_bounds([topic]))[topic]

    async def all_bounds(self, topics: Sequence[str]) -> dict[str, dict[int, Bounds]]:
        """The same for some topics, all asked for at once."""
        partitions = await self._partitions(*topics)
        begins = await self._consumer.beginning_offsets(partitions)
        ends = await self._consumer.end_offsets(partitions)
        found: dict[str, dict[int, Bounds]] = {topic: {} for topic in topics}
        for tp in partitions:
            found[tp.topic][tp.partition] = Bounds(begins[tp], ends[tp])
        return found

    async def at(self, topic: str, seconds: float) -> dict[int, int]:
        """The offset of the first record that was written at `seconds` or later, by partition; the end where there is none."""
        partitions = await self._partitions(topic)
        found = await self._consumer.offsets_for_times(dict.fromkeys(partitions, int(seconds * 1000)))
        ends = await self._consumer.end_offsets(partitions)
        return {tp.partition: ends[tp] if found[tp] is None else found[tp].offset for tp in partitions}

    async def move(self, name: str, topic: str, positions: Mapping[int, int]) -> None:
        """Have the group go on from `positions`. Raises InUse, and moves nothing, if it has a member by then: Kafka looks."""
        consumer = _consumer(self._where, group_id=name, enable_auto_commit=False)
        offsets = {TopicPartition(topic, partition): OffsetAndMetadata(offset, "") for partition, offset in positions.items()}
        try:
            await consumer.start()
            consumer.assign(list(offsets))
            await consumer.commit(offsets)
        except CommitFailedError:
            raise InUse(f"group {name} got a member just now; nothing was moved") from None
        finally:
            await consumer.stop()

    async def _partitions(self, *topics: str) -> list[TopicPartition]:
        described = await self._admin.describe_topics(list(topics))
        if missing := [one["topic"] for one in described if one["error_code"]]:
            raise Mismatch(f"topic {missing[0]} is missing; `chopar topics` creates it")
        found = sorted(
            TopicPartition(one["topic"], partition["partition"]) for one in described for partition in one["partitions"]
        )
        self._consumer.assign(found)  # so that it asks for their leaders; nothing is to be fetched
        self._consumer.pause(*found)
        return found

    async def _settled(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer, once Kafka knows who has it."""
        deadline = monotonic() + PATIENCE
        while True:
            try:
                return await ask()
            except _UNSETTLED:
                if monotonic() > deadline:
                    raise
            await asyncio.sleep(0.3)


@asynccontextmanager
async def open_groups(settings: Settings) -> AsyncIterator[Groups]:
    """Connected to the Kafka that the settings name. Raises Unreachable, also from what is done inside."""
    where = kafka_address(settings)
    admin = AIOKafkaAdminClient(bootstrap_servers=where, client_id=names.APP, request_timeout_ms=TIMEOUT_MS)
    consumer = _consumer(where)
    try:
        try:
            await admin.start()
            await consumer.start()
            yield Groups(admin, consumer, where)
        finally:
            with suppress(KafkaError):
                await consumer.stop()
            await admin.close()
    except KafkaError as error:
        problem = str(error) or type(error).__name__
        raise Unreachable(f"{PREFIX}KAFKA_URL", where, problem, "is Kafka up? `chopar up` starts one") from None


def _consumer(where: str, **options: Any) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=where,
        client_id=names.APP,
        request_timeout_ms=TIMEOUT_MS,
        **options,
    )


def _member(described: Any) -> Member:
    _, client, host, _, assignment, *_ = described
    decoded = ConsumerProtocolMemberAssignment.decode(assignment).partitions() if assignment else []
    partitions = frozenset((tp.topic, tp.partition) for tp in decoded)
    return Member(client, host.removeprefix("/"), partitions)

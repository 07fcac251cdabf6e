"""Which topic it is: a topic that is deleted and made anew has its name again, and another id (Kafka 2.8 and newer)."""

import uuid

from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

from activity.errors import Mismatch
from activity.settings import PREFIX, Settings
from streams.topics import admin_client


async def topic_identity(settings: Settings, topic: str) -> str:
    """What names `topic` and no other, also of another cluster. Raises Unreachable, and Mismatch when Kafka knows no ids."""
    async with admin_client(settings) as admin:
        try:
            answer = await admin._send_request(_TopicIds(topic))
        except NotImplementedError:
            raise Mismatch(f"{PREFIX}TABLE_STORE: rocksdb needs Kafka 2.8 or newer, which gives topics ids") from None
    [(error, name, high, low, *_)] = answer.topics
    if error:
        raise Mismatch(f"topic {topic} can't be looked up: {for_code(error).__name__}")
    return f"{answer.cluster_id} {name} {uuid.UUID(int=(high % 2**64 << 64) + low % 2**64)}"


class _TopicIdsResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    """Metadata in version 10, the first with ids. aiokafka reads them up to version 5."""

    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("id_high", Int64),
                ("id_low", Int64),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _TopicIdsRequest(RequestStruct):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 3
    API_VERSION = 10
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _TopicIdsResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("id_high", Int64), ("id_low", Int64), ("name", CompactString("utf-8")), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _TopicIds(Request[_TopicIdsRequest]):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 3

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: type[_TopicIdsRequest]) -> _TopicIdsRequest:
        return request_struct_class([(0, 0, self._topic, {})], False, False, False, {})

"""Reading a stretch of a topic again, beside the workers: no group, no commits, nothing moves."""

from collections.abc import AsyncIterator, Sequence
from time import monotonic
from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from activity import names
from activity.chunk import Chunk
from activity.errors import Unreachable
from activity.replay import Span
from activity.settings import PREFIX, Settings
from streams.records import read_any_header
from streams.topics import kafka_address

RECORDS: Final = 1000
"""The most records of a chunk."""
PATIENCE: Final = 30.0
"""Seconds without a record, after which Kafka counts as away."""


async def read_past(settings: Settings, topic: str, spans: Sequence[Span]) -> AsyncIterator[Chunk]:
    """The records of `spans` in chunks, each partition's in order. Raises Unreachable when Kafka does not answer."""
    spans = [span for span in spans if len(span)]
    if not spans:
        return
    where = kafka_address(settings)
    read_any_header()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=where, client_id=names.APP, auto_offset_reset="earliest", max_partition_fetch_bytes=4 * 1024 * 1024
    )
    try:
        await consumer.start()
        async for chunk in _chunks(consumer, topic, spans):
            yield chunk
    except KafkaError as error:
        raise _away(where, str(error) or type(error).__name__) from None
    except TimeoutError:
        raise _away(where, f"no record for {PATIENCE:.0f} s") from None
    finally:
        await consumer.stop()


async def _chunks(consumer: AIOKafkaConsumer, topic: str, spans: Sequence[Span]) -> AsyncIterator[Chunk]:
    left = {TopicPartition(topic, span.partition): span for span in spans}
    consumer.assign(list(left))
    for tp, span in left.items():
        consumer.seek(tp, span.start)
    heard = monotonic()
    while left:
        batches = await consumer.getmany(*left, timeout_ms=500, max_records=RECORDS)
        for tp, batch in batches.items():
            heard = monotonic()
            records = [record for record in batch if record.offset < left[tp].stop]
            if records:
                yield Chunk(topic, tp.partition, records)
        for tp in [tp for tp, span in left.items() if await consumer.position(tp) >= span.stop]:
            del left[tp]
            consumer.pause(tp)
        if monotonic() - heard > PATIENCE:
            raise TimeoutError


def _away(where: str, problem: str) -> Unreachable:
    remedy = "is Kafka up? what was done is done; the same command goes on from there"
    return Unreachable(f"{PREFIX}KAFKA_URL", where, problem, remedy)

"""What streams/ and tables/ use of Faust, mode and aiokafka beside their public names: a new version must still have it."""

import inspect
from importlib.metadata import version

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.consumer import fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.producer import AIOKafkaProducer, sender
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import _DefaultRecordBatchPy
from faust.app.base import BootStrategy
from faust.tables.base import Collection
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer as BaseConsumer
from faust.transport.consumer import ThreadDelegateConsumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Producer
from mode.utils.queues import FlowControlEvent


def test_the_versions_are_those_whose_faults_are_known() -> None:
    found = {name: version(name) for name in ("faust-streaming", "mode-streaming", "aiokafka")}
    assert found == {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (BaseConsumer._wait_next_records, ["self", "timeout"]),
        (BaseConsumer._add_gap, ["self", "tp", "offset_from", "offset_to"]),
        (BaseConsumer._new_offset, ["self", "tp"]),
        (BaseConsumer._filter_tps_with_pending_acks, ["self", "topics"]),
        (BaseConsumer._commit_offsets, ["self", "offsets", "start_new_transaction"]),
        (BaseConsumer.perform_seek, ["self"]),
        (BaseConsumer.wait_empty, ["self"]),
        (BaseConsumer.getmany, ["self", "timeout"]),
        (ThreadDelegateConsumer._getmany, ["self", "active_partitions", "timeout"]),
        (Consumer._to_message, ["self", "tp", "record"]),
        (Consumer._new_consumer_thread, ["self"]),
        (AIOKafkaConsumerThread._commit, ["self", "offsets"]),
        (AIOKafkaConsumerThread._ensure_consumer, ["self"]),
        (AIOKafkaConsumerThread._fetch_records, ["self", "consumer", "active_partitions", "timeout", "max_records"]),
        (AIOKafkaConsumerThread._create_worker_consumer, ["self", "transport"]),
        (AIOKafkaConsumerThread.on_partitions_assigned, ["self", "assigned", "generation_id"]),
        (AIOKafkaConsumerThread.getmany, ["self", "active_partitions", "timeout"]),
        (FlowControlEvent.is_active, ["self"]),
        (Producer._ensure_producer, ["self"]),
        (Producer._settings_extra, ["self"]),
        (GroupCoordinator._do_heartbeat, ["self"]),
        (Recovery.active_remaining_total, ["self"]),
        (Collection.apply_changelog_batch, ["self", "batch"]),
        (Collection.persisted_offset, ["self", "tp"]),
        (Collection.on_recovery_completed, ["self", "active_tps", "standby_tps"]),
        (AIOKafkaAdminClient._send_request, ["self", "request", "node_id"]),
        (BatchBuilder.record_count, ["self"]),
        (AIOKafkaProducer.create_batch, ["self"]),
        (AIOKafkaProducer.send_batch, ["self", "batch", "topic", "partition"]),
        (BatchBuilder.append, ["self", "timestamp", "key", "value", "headers"]),
    ],
)
def test_methods_that_are_overridden_or_called(method: object, parameters: list[str]) -> None:
    assert callable(method)
    assert list(inspect.signature(method).parameters) == parameters


def test_fields_that_are_read_or_written() -> None:
    source = inspect.getsource(BaseConsumer)
    for name in ("_read_offset", "_committed_offset", "_buffered_partitions", "_acked", "_acked_index", "_unacked_messages"):
        assert f"self.{name}" in source
    drain = inspect.getsource(BaseConsumer._drain_messages)
    assert "self.wait_first(\n" in drain, "what `Consumer._hand_over` does in its place"
    assert "callback(message), self.suspend_flow.wait()" in drain
    assert "set_read_offset(tp, offset)" in drain
    assert "table.persisted_offset(tp)" in inspect.getsource(Recovery._add), "a recovery begins where the table says"
    assert "fetch_max_wait_ms=self._fetch_max_wait_ms" in inspect.getsource(AIOKafkaConsumer), "read when it starts"
    assert "self.enable_web" in inspect.getsource(BootStrategy)
    assert "MemoryRecords(part_data[-1])" in inspect.getsource(fetcher), "a fetch is read by what stands in this name"
    assert "self._buffer" in inspect.getsource(_DefaultRecordBatchPy._maybe_uncompress)
    assert "client.send(node_id, request)" in inspect.getsource(sender), "the fence stands before each produce request"

"""The consumer: hands out chunks, and commits no further than the first one that is not done.

It stands above the faults of Faust 0.15.3 and aiokafka that are marked A, B, C, D, G, H and "outage" below (`docs/faust.md`).
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from time import monotonic
from typing import Any, Final, cast

from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from rabbit.failpoints import failpoint
from streams.chunks import ChunkMessage, Chunks, chunk_message
from streams.exits import TEMPFAIL, leave
from streams.fetches import read_by_the_batch, whole
from streams.producer import Producer
from tables.users import Users

FETCH_WAIT_MS: Final = 100
"""How long Kafka holds a fetch that finds nothing. What else is asked of that broker waits behind it: in a rebalance, while
the flow is stopped, several times. Faust's 1,500 ms made it last seconds longer."""

WAITING_CHUNKS: Final = 4
"""How many chunks of a partition may wait for their agent; the rest waits on Kafka."""
_GLANCE: Final = 0.02

LARGEST_CHUNK: Final = 4_000
"""The most records that a chunk has: what one poll may give."""
LARGEST_CHUNK_BYTES: Final = 2 * 1024 * 1024
"""What a chunk may grow to while it waits for its agent."""


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Reads in a thread of its own, so that heartbeats go on whatever the agents do."""

    member_at = float("-inf")
    """When the group last confirmed this member: the monotonic time at which the heartbeat was sent that it answered."""
    full: frozenset[TP] = frozenset()
    """Partitions of which enough waits for an agent; they are not read."""

    async def on_start(self) -> None:
        read_by_the_batch(asyncio.get_running_loop())
        await super().on_start()
        coordinator = self._ensure_consumer()._coordinator
        heartbeat = coordinator._do_heartbeat

        async def noted() -> bool:
            sent = monotonic()
            answered: bool = await heartbeat()
            if answered:
                self.member_at = sent
                cast(Any, self.consumer.app).outage.ended()
            return answered

        coordinator._do_heartbeat = noted

    @property
    def member_id(self) -> str:
        """What the group calls this member."""
        return str(self._ensure_consumer()._coordinator.member_id)

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109  (the name is Faust's)
        max_records: int | None = None,
    ) -> Mapping[TP, Any]:
        """C: Faust's set changes under a fetch; where it is empty aiokafka gives all that it has, and Faust drops that.

        A recovery then waits for records of its changelog that were passed over, or, if others follow, goes on without them.
        Here a fetch gives what was asked for; what is not wanted any more when it comes is put back.
        """
        wanted = set(active_partitions) - self.full
        if self.full:  # whoever is not may have room in a moment
            timeout = min(timeout or 0.0, _GLANCE)
        if not wanted:
            await asyncio.sleep(timeout or 0.0)
            return {}
        records = await super()._fetch_records(consumer, wanted, timeout=timeout, max_records=max_records)
        assigned, given = consumer.assignment(), dict[TP, Any]()
        for tp, batch in records.items():
            if self.consumer.flow_active and tp in active_partitions:
                given[tp] = batch
            elif tp in assigned:
                consumer.seek(tp, batch[0].offset)
        return given

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self.member_at = monotonic()
        await super().on_partitions_assigned(assigned, generation_id)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        return cast(Mapping[TP, int], await self.call_thread(self._seek_to_committed))

    async def _seek_to_committed(self) -> Mapping[TP, int]:
        """G: aiokafka leaves a partition where it is that has no committed offset: what was read of it and put away is lost."""
        consumer = self._ensure_consumer()
        committed: Mapping[TP, int] = await consumer.seek_to_committed()
        changelogs = self.app.tables.changelog_topics
        fresh = [tp for tp, offset in committed.items() if not offset and tp.topic not in changelogs]
        if fresh:
            for tp, offset in (await consumer.beginning_offsets(fresh)).items():
                consumer.seek(tp, offset)
        return committed

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: Faust's look for stalled streams crashes the worker while a partition has no position yet."""

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Outage: Faust crashes the worker when a commit fails. The offsets are committed with the next ones instead."""
        mine = {tp: offset for tp, offset in offsets.items() if tp in self.assignment()}
        if not mine:
            return False
        try:
            await self._ensure_consumer().commit(
                {driver.ensure_aiokafka_TP(tp): OffsetAndMetadata(offset, "") for tp, offset in mine.items()}
            )
        except (KafkaError, IllegalStateError) as error:
            self.log.debug("commit put off: %r", error)
            return False
        return True


class Consumer(driver.Consumer):
    """Reads the topics whose schema is `Chunks` in chunks, and every other topic as Faust does."""

    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._chunked: frozenset[str] = frozenset()
        self._tables: dict[str, Users] = {}
        self._inflight: defaultdict[TP, deque[ChunkMessage]] = defaultdict(deque)
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        topics = (topic for topic in self.app.topics if isinstance(topic.schema, Chunks))
        self._chunked = frozenset(name for topic in topics for name in topic.topics)
        tables = (table for table in self.app.tables.values() if isinstance(table, Users))
        self._tables = {table.changelog_topic_name: table for table in tables}
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await super().on_partitions_revoked(revoked)
        self._lose(revoked)

    @property
    def out_of_touch(self) -> float:
        """Seconds since the group confirmed this member."""
        return monotonic() - self._thread.member_at

    async def wait_empty(self) -> None:
        """Before partitions move or the worker stops: finish what an agent has begun, let go of all that waits.

        A chunk that waits for a far end which is away is let go too, so that an outage never stops a rebalance.
        """
        for inflight in self._inflight.values():
            for message in inflight:
                message.chunk.lost = True
            started = [message for message in inflight if message.chunk.started]
            inflight.clear()
            inflight.extend(started)
        limit = self.app.conf.broker_session_timeout - 2.0
        finishing = asyncio.ensure_future(self._finish())
        done, _ = await asyncio.wait({finishing}, timeout=limit)  # not wait_for: Faust swallows a cancellation in there
        if not done:
            # What Kafka has not taken would go out later, over newer states of the partitions' next owner.
            leave(
                0 if self.app.should_stop and not self.app.crashed else TEMPFAIL,
                f"what was begun is not finished after {limit:.0f} s",
            )
        await finishing

    async def _finish(self) -> None:
        while any(message.chunk.in_hand for inflight in self._inflight.values() for message in inflight):  # noqa: ASYNC110  (flags)
            await asyncio.sleep(_GLANCE)
        await super().wait_empty()
        await cast(Producer, self.app.producer).emptied()

    async def perform_seek(self) -> None:
        """A: at the end of a recovery Faust lets records in, then clears the queues they went to. Hold the flow till then."""
        self.stop_flow()
        self.app.flow_control.suspend()
        self._lose(list(self._inflight))
        await super().perform_seek()

    def _lose(self, partitions: Iterable[TP]) -> None:
        for tp in partitions:
            for message in self._inflight.pop(tp, ()):
                message.chunk.lost = True

    # -- reading -------------------------------------------------------------------------------------------------------

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109  (the name is Faust's)
        """H: Faust does not pass a topic's `maxsize` on, and where a queue is full it stops reading for all agents.

        Here each partition has its own bound: an agent that waits for a far end holds up nobody, and memory stays bounded.
        """
        self._thread.full = frozenset(tp for tp in self._inflight if self._is_full(tp))
        return await super()._getmany(active_partitions, timeout)

    def _is_full(self, tp: TP) -> bool:
        waiting = 0
        for message in reversed(self._inflight[tp]):
            if message.chunk.finished or waiting == WAITING_CHUNKS:
                break
            waiting += 1
        return waiting == WAITING_CHUNKS

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109  (the name is Faust's)
        """The next records: for a chunked topic, and a table that is recovered, one message for each partition and fetch."""
        records, active = await self._wait_next_records(timeout)
        if not records or self.should_stop:
            return
        if not self.flow_active:
            try:
                await super().perform_seek()
            except Exception as error:  # noqa: BLE001  (as Faust does: the recovery that comes seeks anyway)
                self.log.debug("seek put off: %r", error)
            return
        generation = self.app.consumer_generation_id
        for tp, batch in records.items():
            if active is not None and tp not in active and tp not in self._buffered_partitions:
                continue
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            for message in self._messages(tp, batch, generation):
                if self._is_stale(generation):
                    return
                if type(message) is ChunkMessage:
                    self._inflight[tp].append(message)
                yield tp, message

    def _is_stale(self, generation: int) -> bool:
        """Whether a rebalance began since the records were fetched."""
        return not self.flow_active or self.app.consumer_generation_id != generation

    def _messages(self, tp: TP, batch: list[Any], generation: int) -> Iterable[Any]:
        if (users := self._tables.get(tp.topic)) is not None:
            users.restore(tp.partition, batch)
            return [self._to_message(tp, whole(*tp, batch[-1]))]  # by its offset Faust sees how far the recovery is
        if tp.topic not in self._chunked:
            return (self._to_message(tp, whole(*tp, record)) for record in batch)
        start = self._read_offset.get(tp)
        if start is not None and batch[0].offset < start:
            batch = [record for record in batch if record.offset >= start]
        if not batch or self._joined(tp, batch):
            return []
        return [chunk_message(TP(*tp), batch, generation)]

    def _joined(self, tp: TP, batch: list[Any]) -> bool:
        """Whether `batch` went into the chunk before it, which still waits for its agent.

        A worker that falls behind would else go on in chunks as small as those it fell behind with.
        """
        inflight = self._inflight.get(tp)
        last = inflight[-1] if inflight else None
        if last is None or not last.chunk.joined(batch, LARGEST_CHUNK, LARGEST_CHUNK_BYTES):
            return False
        last.offset = self._read_offset[tp] = batch[-1].offset
        return True

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if tp.topic not in self._chunked:
            await super()._add_gap(tp, offset_from, offset_to)

    # -- committing ----------------------------------------------------------------------------------------------------

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        yield from super()._filter_tps_with_pending_acks(topics)
        yield from (tp for tp in list(self._inflight) if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        """B and D: Faust's acks come from its iterator, also when the body raised. Only `Chunk.done()` counts here."""
        if tp.topic not in self._chunked:
            return super()._new_offset(tp)
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        new = None
        for message in self._inflight[tp]:
            if not message.chunk.finished:
                break
            new = message.offset + 1
        return new

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        before = {tp: self._committed_offset[tp] for tp in offsets}
        failpoint("consumer.committing")
        committed = await super()._commit_offsets(offsets, start_new_transaction)
        failpoint("consumer.committed")
        for tp, offset in offsets.items():
            if not committed:
                self._committed_offset[tp] = before[tp]  # Faust counts it as committed even so
                continue
            inflight = self._inflight.get(tp)
            while inflight and inflight[0].offset < offset:
                inflight.popleft()
        return committed

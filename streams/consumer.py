"""The consumer: hands out chunks, and commits no further than the first one that is not done.

It stands above the faults of Faust 0.15.3 and aiokafka that are marked A, B, D and H below (`docs/faust.md`).
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from time import monotonic
from typing import Any, Final, cast

from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from rabbit.failpoints import failpoint
from streams.chunks import ChunkMessage, Chunks, chunk_message
from streams.exits import TEMPFAIL, leave
from streams.fetches import whole
from streams.producer import Producer
from streams.reader import ConsumerThread
from tables.users import Users

WAITING_CHUNKS: Final = 4
"""How many chunks of a partition may wait for their agent; the rest waits on Kafka."""
_GLANCE: Final = 0.02

LARGEST_CHUNK: Final = 4_000
"""The most records that a chunk has: what one poll may give."""
LARGEST_CHUNK_BYTES: Final = 2 * 1024 * 1024
"""What a chunk may grow to while it waits for its agent."""


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
        """The next records that are not read in chunks; of a table that is recovered one message for each partition and fetch.

        Chunks go to their agent from here, one for each partition and fetch, until a fetch finds nothing. Where Faust hands
        on what it is given it makes some tasks for each message, and one for each fetch.
        """
        while True:
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
                        await self._hand_over(tp, message)
                    else:
                        yield tp, message

    async def _hand_over(self, tp: TP, message: ChunkMessage) -> None:
        """To the agent's queue. Nothing of this waits as long as the flow is open."""
        self._inflight[tp].append(message)
        if self.app.flow_control.is_active():
            await self.callback(message)
        else:
            await self.wait_first(self.callback(message), self.suspend_flow.wait())
        self._read_offset[tp] = message.offset

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

"""The thread that reads: fetches, heartbeats and commits go on there whatever the agents do.

It stands above the faults of Faust 0.15.3 and aiokafka that are marked C, G and "outage" below (`docs/faust.md`).
"""

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import Any, Final, cast

from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.fetches import read_by_the_batch

FETCH_WAIT_MS: Final = 100
"""How long Kafka holds a fetch that finds nothing. What else is asked of that broker waits behind it: in a rebalance, while
the flow is stopped, several times. Faust's 1,500 ms made it last seconds longer."""

_GLANCE: Final = 0.02


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Reads in a thread of its own."""

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

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> Mapping[TP, Any]:  # noqa: ASYNC109  (the name is Faust's)
        """As Faust's, without its queue of methods: that starts some tasks in the thread to take up one call."""
        consumer = self._ensure_consumer()
        fetch = self._fetch_records(consumer, active_partitions or set(), timeout, consumer._max_poll_records)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(fetch, self.thread_loop))

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

"""The table `users`: one state of bytes for each user, written a chunk at a time."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import faust
from faust.stores.memory import Store

from activity.chunk import Record
from activity.order import peek

Send = Callable[[str, Mapping[bytes, bytes]], Awaitable[None]]
"""Sends pairs to a topic, to the partition in hand, and returns once all are confirmed."""


class PartitionView:
    """The states of one partition; what `activity.sequencing.Partition` asks for."""

    __slots__ = ("_data", "_number", "_partitions", "waiting")

    def __init__(
        self, number: int, data: Mapping[bytes, bytes], partitions: Mapping[bytes, int], waiting: Mapping[bytes, float]
    ) -> None:
        self._number, self._data, self._partitions, self.waiting = number, data, partitions, waiting

    def get(self, user: bytes) -> bytes | None:
        """The user's state, if the user is of this partition."""
        value = self._data.get(user)
        return value if value is not None and self._partitions.get(user) == self._number else None


class Users(faust.Table[bytes, bytes]):
    """A Faust table of bytes in the memory store.

    Faust allows a change only for the event in hand, one key at a time. `write` puts a chunk's states into the changelog
    as one batch and into memory once that is confirmed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._late: defaultdict[int, dict[bytes, bytes]] = defaultdict(dict)
        self.waiting: defaultdict[int, dict[bytes, float]] = defaultdict(dict)

    def partition(self, number: int) -> PartitionView:
        """What this worker knows of the users of partition `number`."""
        return PartitionView(number, self._memory.data, self._memory._key_partition, self.waiting[number])

    async def write(self, partition: int, states: Mapping[bytes, bytes], send: Send) -> None:
        """Make `states` durable in the changelog, then current here."""
        late = self._late.get(partition)
        states = {**late, **states} if late else states
        await send(self.changelog_topic_name, states)
        self._late.pop(partition, None)
        self._memory.data.update(states)
        self._memory._key_partition.update(dict.fromkeys(states, partition))
        waiting = self.waiting[partition]
        for user, value in states.items():
            since = peek(value)[1]
            if since is None:
                waiting.pop(user, None)
            else:
                waiting[user] = since

    def restore(self, partition: int, records: Sequence[Record]) -> None:
        """Take in records of the changelog as they were read. Faust would spend 150 µs on each.

        A state that knows of less than the one before it was written late, by an owner of the partition before (bytes that were
        on their way when it was paused, say). It does not count, and the next `write` puts the newer one behind it.
        """
        data, partitions = self._memory.data, self._memory._key_partition
        late = self._late[partition]
        for record in records:
            if record.key is None:  # not of a table
                continue
            if record.value is None:
                data.pop(record.key, None)
                partitions.pop(record.key, None)
            else:
                known = data.get(record.key)
                if known is not None and partitions[record.key] == partition and peek(known)[0] > peek(record.value)[0]:
                    late[record.key] = known
                    continue
                late.pop(record.key, None)
                data[record.key] = record.value
                partitions[record.key] = partition

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Faust's way in. Nothing is left to do: `restore` took in all that was read, in order, before Faust saw it."""

    async def on_recovery_completed(self, active_tps: set[Any], standby_tps: set[Any]) -> None:
        """After a rebalance: find out anew for whom events wait; the states tell."""
        await super().on_recovery_completed(active_tps, standby_tps)
        self.waiting.clear()
        ours = {tp.partition for tp in active_tps}
        for partition in [number for number in self._late if number not in ours]:
            del self._late[partition]  # its next owner has found out the same
        for user, value in self._memory.data.items():
            since = peek(value)[1]
            if since is not None:
                self.waiting[self._memory._key_partition[user]][user] = since

    @property
    def _memory(self) -> Store[bytes, bytes]:
        return cast(Store[bytes, bytes], self.data)

    def newest_offsets(self) -> dict[int, int]:
        """For each partition the highest offset of `activity.events` that a state knows of."""
        newest: dict[int, int] = {}
        for user, value in self._memory.data.items():
            partition, offset = self._memory._key_partition[user], peek(value)[0]
            newest[partition] = max(offset, newest.get(partition, -1))
        return newest

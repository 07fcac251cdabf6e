"""The table `users`: one state of bytes for each user, written a chunk at a time."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import faust
from faust.types import TP

from activity.chunk import Record
from activity.order import peek
from tables.states import MemoryShelf, Shelf, States

Landed = tuple[int, int] | None
"""The first and last offset of what was written in one piece; None: nobody knows whether it is one."""
Send = Callable[[str, Mapping[bytes, bytes]], Awaitable[Landed]]
"""Sends pairs to a topic, to the partition in hand; returns once all are confirmed, and where they stand."""


class Users(faust.Table[bytes, bytes]):
    """A Faust table whose states live on a shelf, by partition; Faust's own store of it stays empty.

    Faust allows a change only for the event in hand, one key at a time. `write` puts a chunk's states into the changelog
    as one batch, and on the shelf once that is confirmed. So the shelf is never ahead of the changelog.
    """

    def __init__(self, *args: Any, shelf: Shelf | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shelf = shelf or MemoryShelf()
        self._late: defaultdict[int, dict[bytes, bytes]] = defaultdict(dict)
        self._partitions: dict[int, States] = {}

    def partition(self, number: int) -> States:
        """The states of the users of partition `number`."""
        states = self._partitions.get(number)
        if states is None:
            states = self._partitions[number] = self._shelf.open(number)
        return states

    @property
    def partitions_here(self) -> Mapping[int, States]:
        """The states of each partition that is this worker's."""
        return self._partitions

    async def write(self, partition: int, states: Mapping[bytes, bytes], send: Send) -> None:
        """Make `states` durable in the changelog, then current here."""
        late, here = self._late.get(partition), self.partition(partition)
        states = {**late, **states} if late else states
        landed = await send(self.changelog_topic_name, states)
        self._late.pop(partition, None)
        here.put(states, self._reaches(here, landed))

    def _reaches(self, here: States, landed: Landed) -> int | None:
        """Up to where nothing is missing here now. Where another has written in between, that has to be read first."""
        due = 0 if here.offset is None else here.offset + 1
        return landed[1] if landed is not None and landed[0] == due else None

    def persisted_offset(self, tp: TP) -> int | None:
        """Where a recovery goes on from. Faust keeps none for a table in memory, and reads again what it wrote itself."""
        return self.partition(tp.partition).offset

    def restore(self, partition: int, records: Sequence[Record]) -> None:
        """Take in records of the changelog as they were read. Faust would spend 150 µs on each.

        A state that knows of less than the one before it was written late, by an owner of the partition before (bytes that were
        on their way when it was paused, say). It does not count, and the next `write` puts the newer one behind it; until
        then it counts as not read, so that who is killed meanwhile finds it again.
        """
        states, late = self.partition(partition), self._late[partition]
        get, found = states.get, dict[bytes, bytes | None]()
        for record in records:
            user, value = record.key, record.value
            if user is None:  # not of a table
                continue
            if value is not None:
                known = found[user] if user in found else get(user)
                if known is not None and peek(known)[0] > peek(value)[0]:
                    late[user] = known
                    continue
            late.pop(user, None)
            found[user] = value
        states.put(found, None if late else max(records[-1].offset, states.offset or 0))

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Faust's way in. Nothing is left to do: `restore` took in all that was read, in order, before Faust saw it."""

    async def on_recovery_completed(self, active_tps: set[Any], standby_tps: set[Any]) -> None:
        """After a rebalance: what is another worker's goes."""
        await super().on_recovery_completed(active_tps, standby_tps)
        ours = {tp.partition for tp in active_tps}
        for partition in [number for number in {*self._partitions, *self._late} if number not in ours]:
            self._partitions.pop(partition, None)
            self._late.pop(partition, None)  # its next owner has found out the same
            self._shelf.drop(partition)

    def newest_offsets(self) -> dict[int, int]:
        """For each partition the highest offset of `activity.events` that a state knows of."""
        return {number: states.newest for number, states in self._partitions.items() if states.newest >= 0}

"""One partition of `activity.events` and its table, without Kafka."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from activity import names, order
from activity.chunk import Chunk
from activity.sequencing import Step, sequence
from activity.ticks import tick_value
from tests.activity.examples import Record, value

GAP: Final = 5.0


class Table(dict[bytes, bytes]):
    """A partition's states, as `activity.sequencing.Partition` asks for them."""

    @property
    def waiting(self) -> Mapping[bytes, float]:
        found = {user: order.peek(value)[1] for user, value in self.items()}
        return {user: since for user, since in found.items() if since is not None}


def owner(user: bytes) -> int:
    """Partition 0 is everybody's but `elsewhere`'s."""
    return 1 if user == b"elsewhere" else 0


def tick(
    offset: int, timestamp: int, gap_timeout: float = GAP, quiet_after: float = math.inf, quiet: Sequence[bytes] = ()
) -> Record:
    """A tick; `timestamp` in milliseconds."""
    return Record(None, tick_value(gap_timeout, quiet_after, quiet), offset, timestamp, [(names.KIND_HEADER, names.TICK)])


def record(number: int, user: str = "u-1", offset: int = 0, timestamp: int = 0) -> Record:
    """An event of `user` with the sequence `number` and the id `e-<number>`."""
    raw = value(id=f"e-{number}", subject=user, sequence=str(number))
    return Record(user.encode(), raw, offset, timestamp)


def work(part: Sequence[Record], table: Table) -> Step:
    """What `part` becomes as a chunk of partition 0."""
    return sequence(Chunk(names.EVENTS, 0, part), table, owner)

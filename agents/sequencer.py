"""`activity.events` → `activity.log`: drops duplicates, restores each user's order, gives positions."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from activity import names
from activity.chunk import Chunk
from activity.hand import QUICKEST, Hand
from activity.sequencing import Step, sequence
from rabbit.failpoints import failpoint
from tables.users import Landed, Users

log = logging.getLogger(__name__)


Count = Callable[[int, Mapping[str, int]], None]
"""Takes a partition and how many records of it ended how: `Step.counts`."""


def uncounted(partition: int, counts: Mapping[str, int]) -> None:
    """Counts nothing."""


class Outputs(Protocol):
    """Where a chunk's results go. Both return once Kafka has confirmed all, and wait when it is away."""

    async def deliver(self, chunk: Chunk, step: Step) -> None:
        """Send the accepted, the dead and the moved records."""

    async def changelog(self, chunk: Chunk, topic: str, states: Mapping[bytes, bytes]) -> Landed:
        """Write states to the table's changelog, on the chunk's partition; gives where they stand."""


async def sequencer(
    chunk: Chunk,
    *,
    users: Users,
    outputs: Outputs,
    partition_of: Callable[[bytes], int],
    count: Count = uncounted,
    hand: type[Hand] = QUICKEST,
) -> None:
    """Decide a chunk; then outside first, then the state, then the offsets: a crash between two steps repeats, never loses.

    `count` is told what came of a chunk that is done. `hand`: as `sequence` takes it.
    """
    failpoint("sequencer.taken")
    step = sequence(chunk, users.partition(chunk.partition), partition_of, hand)
    failpoint("sequencer.decided")
    if step.dead:
        reasons = Counter(dict(headers)[names.REASON_HEADER] or b"" for _, _, headers in step.dead)
        told = ", ".join(f"{reason.decode()} {count}" for reason, count in reasons.items())
        log.warning(
            "%d of %d records of %s/%d go to %s: %s", len(step.dead), len(chunk), chunk.topic, chunk.partition, names.DEAD, told
        )
    await outputs.deliver(chunk, step)
    failpoint("sequencer.delivered")
    if step.states:
        await users.write(chunk.partition, step.states, partial(outputs.changelog, chunk))
    failpoint("sequencer.written")
    chunk.done()
    count(chunk.partition, step.counts)
    failpoint("sequencer.done")

"""`activity.dead` → the store: the dead-letter desk, where a person finds what was refused."""

from activity.chunk import Chunk
from activity.dead import from_topic
from activity.errors import Unreachable
from agents.patience import patiently
from rabbit.failpoints import failpoint
from store.interfaces import Intake


async def desk(chunk: Chunk, *, letters: Intake) -> None:
    """Keep a chunk in one transaction, then let its offsets go. A repeat finds its letters there and changes nothing."""
    failpoint("desk.taken")
    found = [from_topic(chunk.partition, record) for record in chunk]
    await patiently(lambda: letters.take(found), chunk, "the store", (Unreachable,))
    failpoint("desk.kept")
    chunk.done()
    failpoint("desk.done")

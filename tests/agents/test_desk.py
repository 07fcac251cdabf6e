"""The agent that takes `activity.dead` into the store."""

from collections.abc import Sequence

from activity import names
from activity.chunk import Chunk
from activity.dead import DeadLetter
from activity.errors import Unreachable
from agents.desk import desk
from tests.activity.test_dead import refused


class Kept:
    """A store that is away for the first `away` calls."""

    def __init__(self, away: int = 0) -> None:
        self.taken: list[list[DeadLetter]] = []
        self.away = away

    async def take(self, letters: Sequence[DeadLetter]) -> None:
        self.away -= 1
        if self.away >= 0:
            raise Unreachable("CHOPAR_STORE_URL", "store", "away", "start it")
        self.taken.append(list(letters))


def chunk() -> Chunk:
    return Chunk(names.DEAD, 2, [refused(offset=7), refused(offset=8)])


async def test_a_chunk_is_kept_then_done() -> None:
    kept, given = Kept(), chunk()
    await desk(given, letters=kept)
    assert given.finished
    assert [[letter.offset for letter in letters] for letters in kept.taken] == [[7, 8]]


async def test_it_waits_while_the_store_is_away() -> None:
    kept, given = Kept(away=2), chunk()
    await desk(given, letters=kept)
    assert given.finished
    assert len(kept.taken) == 1
    assert kept.away < 0

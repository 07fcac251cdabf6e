"""Where a chunk's states stand in the changelog, as far as Kafka tells."""

from collections.abc import Sequence

import pytest

from activity.chunk import Chunk
from streams.outputs import Outputs


class Landing(Outputs):
    """Kafka put the batches here."""

    def __init__(self, batches: Sequence[tuple[int, int]]) -> None:
        self.batches = list(batches)

    async def _once(self, batches: object) -> list[tuple[int, int]]:
        return self.batches


@pytest.mark.parametrize(
    ("batches", "landed"),
    [
        ([(5, 5)], (5, 5)),
        ([(5, 7), (8, 8), (9, 20)], (5, 20)),
        ([(5, 7), (9, 20)], None),
        ([(8, 8), (5, 7)], None),
        ([(-1, 0)], None),
    ],
)
async def test_states_stand_in_one_piece_or_nobody_knows(batches: list[tuple[int, int]], landed: tuple[int, int] | None) -> None:
    chunk = Chunk("activity.events", 1, [])
    assert await Landing(batches).changelog(chunk, "changelog", {b"u": b"state"}) == landed

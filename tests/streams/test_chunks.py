"""The loop around an agent's function."""

from collections.abc import AsyncIterator
from typing import NoReturn, cast

import pytest
from faust.types import StreamT

from activity.chunk import Chunk
from agents.patience import Lost
from streams import chunks
from streams.chunks import each_chunk
from streams.exits import SOFTWARE
from tests.activity.examples import Record, chunk


class Left(Exception):
    pass


@pytest.fixture(autouse=True)
def left(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    codes: list[int] = []

    def leave(code: int, why: str) -> NoReturn:
        codes.append(code)
        raise Left(why)

    monkeypatch.setattr(chunks, "leave", leave)
    return codes


def stream(*given: Chunk) -> StreamT[Chunk]:
    async def one_after_the_other() -> AsyncIterator[Chunk]:
        for found in given:
            yield found

    return cast(StreamT[Chunk], one_after_the_other())


async def test_an_agent_that_raises_ends_the_process_before_the_next_chunk(left: list[int]) -> None:
    """Fault D: Faust would acknowledge the chunk, start the agent anew and go on."""
    worked: list[Chunk] = []

    async def agent(chunk: Chunk) -> None:
        worked.append(chunk)
        raise RuntimeError("a bug")

    with pytest.raises(Left, match="RuntimeError: a bug"):
        await each_chunk(agent)(stream(chunk(Record(None, None)), chunk(Record(None, None))))
    assert left == [SOFTWARE]
    assert len(worked) == 1
    assert not worked[0].finished


async def test_a_lost_chunk_is_passed_over_and_one_that_is_lost_in_hand_is_let_go() -> None:
    worked: list[Chunk] = []

    async def agent(chunk: Chunk) -> None:
        worked.append(chunk)
        if len(worked) == 1:
            raise Lost
        chunk.done()

    given = [chunk(Record(None, None)) for _ in range(3)]
    given[0].lost = True
    await each_chunk(agent)(stream(*given))
    assert worked == given[1:]
    assert [found.finished for found in given] == [False, False, True]
    assert [found.started for found in given] == [False, True, True]
    assert not any(found.in_hand for found in given)


async def test_the_agent_is_called_by_its_functions_name() -> None:
    async def archiver(chunk: Chunk) -> None:
        """Writes."""

    agent = each_chunk(archiver)
    assert agent.__name__ == "archiver"
    assert agent.__doc__ == "Writes."

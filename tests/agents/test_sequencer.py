"""The sequencer as a step: outside first, then the state, then the offsets."""

from collections.abc import Mapping
from typing import cast

import pytest

from activity.order import peek
from agents.sequencer import sequencer
from tables.users import Send, Users
from tests.activity.examples import Record, chunk, value
from tests.agents.fakes import Diary, FakeOutputs, WatchedChunk


class FakeUsers:
    """The table's two faces that the sequencer uses."""

    def __init__(self) -> None:
        self.states: dict[bytes, bytes] = {}
        self.waiting: Mapping[bytes, float] = {}

    def partition(self, number: int) -> "FakeUsers":
        return self

    def get(self, user: bytes) -> bytes | None:
        return self.states.get(user)

    async def write(self, partition: int, states: Mapping[bytes, bytes], send: Send) -> None:
        await send("changelog", states)
        self.states.update(states)


async def step(chunk: WatchedChunk, users: FakeUsers, outputs: FakeOutputs) -> None:
    await sequencer(chunk, users=cast(Users, users), outputs=outputs, partition_of=lambda _: 0)


async def test_outputs_are_confirmed_before_the_state_and_the_state_before_the_offsets() -> None:
    diary = Diary()
    outputs, users = FakeOutputs(diary), FakeUsers()
    await step(WatchedChunk(chunk(Record(b"u-1", value())), diary), users, outputs)
    assert diary == ["delivered", "written", "done"]
    assert peek(users.states[b"u-1"]) == (0, None)


@pytest.mark.parametrize("fails_at", [1, 2])
async def test_a_failure_leaves_the_chunk_undone_and_its_repetition_makes_it_good(fails_at: int) -> None:
    diary, calls = Diary(), []

    def fail() -> None:
        calls.append(1)
        if len(calls) == fails_at:
            raise RuntimeError("the broker is on fire")

    outputs, users = FakeOutputs(diary, fail), FakeUsers()
    records = (Record(b"u-1", value()), Record(b"u-1", value(id="e-2")))
    with pytest.raises(RuntimeError):
        await step(WatchedChunk(chunk(*records), diary), users, outputs)
    assert "done" not in diary
    assert users.states == {}
    await step(WatchedChunk(chunk(*records), diary), users, outputs)
    assert diary[-1] == "done"
    assert {tuple(step.log) for step in outputs.steps} == {tuple(outputs.steps[-1].log)}, "a repeat is the same, to the byte"


async def test_what_was_written_is_not_decided_again() -> None:
    diary = Diary()
    outputs, users = FakeOutputs(diary), FakeUsers()
    records = (Record(b"u-1", value()), Record(b"u-1", value(id="e-2")))
    await step(WatchedChunk(chunk(*records), diary), users, outputs)
    await step(WatchedChunk(chunk(*records), diary), users, outputs)
    assert outputs.steps[-1].log == []
    assert outputs.steps[-1].counts == {"repeated": 2}


async def test_what_came_of_a_chunk_is_counted_once_it_is_done() -> None:
    diary, told = Diary(), []
    given = WatchedChunk(chunk(Record(b"u-1", value()), Record(b"u-1", value()), Record(b"u-1", b"junk"), partition=3), diary)

    def count(partition: int, counts: Mapping[str, int]) -> None:
        told.append((list(diary), partition, dict(counts)))

    users, outputs = cast(Users, FakeUsers()), FakeOutputs(diary)
    await sequencer(given, users=users, outputs=outputs, partition_of=lambda _: 3, count=count)
    assert told == [(["delivered", "written", "done"], 3, {"logged": 1, "duplicate": 1, "dead": 1})]

"""Where states live: one suite for memory and for RocksDB, and what only a disk can show."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activity.errors import SettingError
from activity.order import State, advance, encode, peek
from tables import disk
from tables.disk import DiskShelf
from tables.states import MemoryShelf, Shelf
from tests.activity.examples import event
from tests.processes import ROOT

HISTORY = "cluster chopar-users-changelog 1"


def state(*sequences: int, offset: int = 0) -> bytes:
    """A state after these sequences of one source: one that does not begin with 1 waits, since 5.0."""
    found = State()
    for sequence in sequences:
        found, _ = advance(found, event(sequence), 5.0)
    return encode(found, offset)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "not-there-yet" / "states"


@pytest.fixture(params=["memory", "disk"])
def shelf(request: pytest.FixtureRequest, folder: Path) -> Iterator[Shelf]:
    if request.param == "memory":
        yield MemoryShelf()
        return
    made = DiskShelf(folder)
    made.start(HISTORY)
    yield made
    made.stop()


@pytest.fixture
def again(folder: Path) -> Iterator[Callable[[], DiskShelf]]:
    """Opens the folder as a process does that starts; the one before must have stopped."""
    opened: list[DiskShelf] = []

    def start() -> DiskShelf:
        if opened:
            opened[-1].stop()
        opened.append(DiskShelf(folder))
        opened[-1].start(HISTORY)
        return opened[-1]

    yield start
    for one in opened:
        one.stop()


# -- what both do ------------------------------------------------------------------------------------------------------


def test_an_empty_partition(shelf: Shelf) -> None:
    states = shelf.open(3)
    assert (states.get(b"u"), states.offset, states.newest, dict(states.waiting)) == (None, None, -1, {})
    assert list(states.each()) == []


def test_what_was_put_is_there_and_the_last_counts(shelf: Shelf) -> None:
    states = shelf.open(3)
    states.put({b"u": state(1), b"": state(1, offset=9)}, 4)
    states.put({b"u": state(1, 2, offset=7), b"v": state(1)}, 6)
    assert dict(states.each()) == {b"u": state(1, 2, offset=7), b"": state(1, offset=9), b"v": state(1)}
    assert (states.get(b"u"), states.offset, states.newest) == (state(1, 2, offset=7), 6, 9)


def test_an_offset_that_is_not_known_leaves_the_one_that_was(shelf: Shelf) -> None:
    states = shelf.open(3)
    states.put({b"u": state(1)}, None)
    assert states.offset is None
    states.put({}, 0)
    states.put({b"u": state(1)}, None)
    assert states.offset == 0


def test_for_whom_an_event_waits(shelf: Shelf) -> None:
    states = shelf.open(3)
    states.put({b"u": state(2), b"v": state(2), b"w": state(1)}, 0)
    assert dict(states.waiting) == {b"u": 5.0, b"v": 5.0}
    states.put({b"u": state(2, 1), b"v": None}, 1)
    assert dict(states.waiting) == {}
    assert states.get(b"v") is None


def test_pages_in_the_order_of_the_users_bytes(shelf: Shelf) -> None:
    states, users = shelf.open(3), ["b", "a", "a/b", "a b", "ж", "a\0", "Z"]
    states.put({user.encode(): state(1, offset=n) for n, user in enumerate(users)}, 0)
    shelf.open(2).put({b"other": state(1)}, 0)
    shelf.open(4).put({b"other": state(1)}, 0)
    found, after = [], b""
    while page := states.page(after, 2):
        assert all(states.get(user) == value for user, value in page)
        found += [user for user, _ in page]
        after = found[-1]
    assert found == sorted(user.encode() for user in users)
    assert states.page(b"a", 1) == [(b"a\0", state(1, offset=5))]


def test_partitions_are_apart(shelf: Shelf) -> None:
    one, other, last = shelf.open(1), shelf.open(2), shelf.open(256)
    one.put({b"u": state(2)}, 5)
    last.put({b"\x01u": state(1)}, 7)
    other.put({b"v": state(1)}, 0)
    assert (other.get(b"u"), other.offset, dict(other.waiting)) == (None, 0, {})
    assert [list(states.each()) for states in (one, other, last)] == [
        [(b"u", state(2))],
        [(b"v", state(1))],
        [(b"\x01u", state(1))],
    ]


def test_a_partition_that_was_dropped_may_come_back(shelf: Shelf) -> None:
    """It may have forgotten, but then it says so, and must not know half."""
    shelf.open(1).put({b"u": state(2)}, 5)
    shelf.drop(1)
    states = shelf.open(1)
    full = (state(2), 5, 0, {b"u": 5.0})
    assert (states.get(b"u"), states.offset, states.newest, dict(states.waiting)) in [full, (None, None, -1, {})]


def test_states_may_be_put_while_all_are_looked_at(shelf: Shelf) -> None:
    states = shelf.open(1)
    states.put({b"u%d" % n: state(1) for n in range(5)}, 0)
    found = []
    for user, _ in states.each():
        found.append(user)
        states.put({b"u%d" % (len(found) + 20): state(1), b"u4": None}, 1)
    assert {b"u0", b"u1", b"u2", b"u3"} <= set(found)


FRESH = count()
"""Partitions that no example has used."""
Puts = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from([b"a", b"b", b"c"]), st.sampled_from([None, (1,), (2,), (1, 3), (1, 2)]), max_size=3),
        st.none() | st.integers(0, 99),
    ),
    max_size=8,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(Puts)
def test_a_disk_that_is_opened_anew_is_as_memory_would_be(again: Callable[[], DiskShelf], puts: list[Any]) -> None:
    memory, number = MemoryShelf().open(0), next(FRESH)
    for step, (which, offset) in enumerate(puts):
        states = {user: sequences and state(*sequences, offset=step) for user, sequences in which.items()}
        memory.put(states, offset)
        here = again().open(number)
        here.put(states, offset)
    here = again().open(number)
    assert sorted(here.each()) == sorted(memory.each())
    assert (dict(here.waiting), here.offset, here.newest) == (dict(memory.waiting), memory.offset, memory.newest)


# -- what only a disk can show -----------------------------------------------------------------------------------------


def test_all_users_are_seen_whatever_the_size_of_a_page(again: Callable[[], DiskShelf], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "PAGE", 3)
    states = again().open(1)
    for users in range(8):
        assert [user for user, _ in states.each()] == [b"u%d" % n for n in range(users)]
        states.put({b"u%d" % users: state(1)}, 0)


def test_another_worker_can_not_use_the_folder(again: Callable[[], DiskShelf], folder: Path) -> None:
    again()
    with pytest.raises(SettingError, match=r"^CHOPAR_DATA_DIR: another worker uses .*; give each worker a folder of its own"):
        DiskShelf(folder).start(HISTORY)


def test_a_folder_that_is_broken_may_be_deleted_and_says_so(again: Callable[[], DiskShelf], folder: Path) -> None:
    again().stop()
    (folder / "CURRENT").write_text("nonsense\n")
    with pytest.raises(SettingError, match=r"^CHOPAR_DATA_DIR: can't open .*it may be deleted: what it had is read from Kafka"):
        DiskShelf(folder).start(HISTORY)


def test_states_of_another_changelog_are_thrown_away(
    again: Callable[[], DiskShelf], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = again()
    shelf.open(1).put({b"u": state(2)}, 5)
    shelf.stop()
    other = DiskShelf(folder)
    other.start("cluster chopar-users-changelog 2")
    states = other.open(1)
    assert (states.get(b"u"), states.offset, states.newest, dict(states.waiting)) == (None, None, -1, {})
    assert "are of another changelog" in caplog.text
    other.stop()


WRITER = """
import sys
from pathlib import Path
from activity.order import peek
from tables.disk import DiskShelf
from tests.tables.test_states import HISTORY, state
shelf = DiskShelf(Path(sys.argv[1]))
shelf.start(HISTORY)
states = shelf.open(1)
for n in range(10**9):
    states.put({b"u%d" % user: state(2 - n % 2, offset=n) for user in range(200)}, n)
    print(n, flush=True)
"""


def test_sigkill_leaves_a_put_whole_or_undone(again: Callable[[], DiskShelf], folder: Path) -> None:
    for kills in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, cwd=ROOT)
        assert writer.stdout is not None
        for _ in range(20 + kills):
            done = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        done = max([done, *map(int, writer.stdout.read().split(b"\n")[:-1])])
        writer.stdout.close()
        writer.wait()
        shelf = again()
        states = shelf.open(1)
        reached = states.offset
        assert reached in (done, done + 1), "nothing that was done is missing"
        assert {peek(value)[0] for _, value in states.each()} == {reached}, "the states are those of one put"
        assert len(states.waiting) == (200 if reached % 2 == 0 else 0)
        shelf.stop()

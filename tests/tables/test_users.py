"""The table: what a chunk writes, and what is derived from the states."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import faust
import pytest
from faust.types import TP

from activity.order import State, advance, encode
from tables.disk import DiskShelf
from tables.states import MemoryShelf, Shelf
from tables.users import Landed, Send, Users
from tests.activity.examples import Record, event


def table(shelf: Shelf) -> Users:
    app = faust.App("test", Table=Users, store="memory://", autodiscover=False, key_serializer="raw", value_serializer="raw")
    app.finalize()
    return cast(Users, app.Table("users", partitions=4, key_type=bytes, value_type=bytes, shelf=shelf))


@pytest.fixture(params=["memory", "disk"])
def users(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Users]:
    if request.param == "memory":
        yield table(MemoryShelf())
        return
    shelf = DiskShelf(tmp_path / "states")
    shelf.start("this changelog")
    yield table(shelf)
    shelf.stop()


def state(*sequences: int, offset: int = 0) -> bytes:
    found = State()
    for sequence in sequences:
        found, _ = advance(found, event(sequence), 5.0)
    return encode(found, offset)


async def ignore(topic: str, states: Mapping[bytes, bytes]) -> Landed:
    return None


async def test_a_state_is_current_once_it_is_confirmed(users: Users) -> None:
    sent: list[tuple[str, Mapping[bytes, bytes]]] = []

    async def send(topic: str, states: Mapping[bytes, bytes]) -> Landed:
        assert users.partition(1).get(b"u") is None
        sent.append((topic, states))
        return None

    await users.write(1, {b"u": state(1)}, send)
    assert users.partition(1).get(b"u") == state(1)
    assert sent == [("test-users-changelog", {b"u": state(1)})]


async def test_what_is_not_confirmed_is_not_current(users: Users) -> None:
    async def send(topic: str, states: Mapping[bytes, bytes]) -> Landed:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        await users.write(1, {b"u": state(1)}, send)
    assert users.partition(1).get(b"u") is None


async def test_a_user_of_another_partition_is_not_found(users: Users) -> None:
    await users.write(1, {b"u": state(1)}, ignore)
    assert users.partition(2).get(b"u") is None


async def test_waiting_users_are_known_by_partition_and_forgotten_when_nothing_waits(users: Users) -> None:
    await users.write(1, {b"u": state(2), b"v": state(1)}, ignore)
    assert users.partition(1).waiting == {b"u": 5.0}
    assert users.partition(2).waiting == {}
    await users.write(1, {b"u": state(2, 1)}, ignore)
    assert users.partition(1).waiting == {}


async def test_a_recovery_takes_in_the_newest_state_of_each_user(users: Users) -> None:
    users.restore(1, [Record(b"u", state(1)), Record(b"v", state(2)), Record(b"u", state(1, 2)), Record(None, b"junk")])
    users.restore(1, [Record(b"v", None)])
    assert users.partition(1).get(b"u") == state(1, 2)
    assert users.partition(1).get(b"v") is None
    assert users.partition(2).get(b"u") is None


async def test_a_late_write_of_a_former_owner_does_not_roll_a_state_back(users: Users) -> None:
    older, newer = state(1, offset=10), state(1, 2, offset=20)
    users.restore(1, [Record(b"u", older), Record(b"u", newer), Record(b"u", older), Record(b"v", older)])
    assert users.partition(1).get(b"u") == newer
    sent: list[Mapping[bytes, bytes]] = []

    async def send(topic: str, states: Mapping[bytes, bytes]) -> Landed:
        sent.append(states)
        return None

    await users.write(1, {b"w": older}, send)
    await users.write(1, {b"w": newer}, send)
    assert sent == [{b"u": newer, b"w": older}, {b"w": newer}], "it stands last again, before a compaction drops it"


async def test_reading_a_changelog_again_changes_nothing(users: Users) -> None:
    records = [Record(b"u", state(1, offset=10)), Record(b"u", state(1, 2, offset=20))]
    users.restore(1, records)
    users.restore(1, records)
    sent: list[Mapping[bytes, bytes]] = []

    async def send(topic: str, states: Mapping[bytes, bytes]) -> Landed:
        sent.append(states)
        return None

    await users.write(1, {b"w": state(1)}, send)
    assert sent == [{b"w": state(1)}]


async def test_a_recovery_finds_out_for_whom_events_wait(users: Users) -> None:
    users.restore(1, [Record(b"u", state(2)), Record(b"v", state(2)), Record(b"v", state(2, 1))])
    assert users.partition(1).waiting == {b"u": 5.0}


async def test_what_is_another_workers_is_dropped(users: Users) -> None:
    await users.write(1, {b"u": state(1)}, ignore)
    await users.write(2, {b"v": state(2)}, ignore)
    await users.on_recovery_completed({TP("test-users-changelog", 2)}, set())
    assert set(users.partitions_here) == {2}
    assert users.partition(2).get(b"v") == state(2)


# -- how far the changelog is known ------------------------------------------------------------------------------------


def landed(first: int, last: int) -> Send:
    """Sends to where the offsets are `first` to `last`."""

    async def send(topic: str, states: Mapping[bytes, bytes]) -> Landed:
        return first, last

    return send


def reached(users: Users) -> int | None:
    """Where a recovery of partition 1 goes on."""
    return users.persisted_offset(TP("test-users-changelog", 1))


async def test_a_recovery_goes_on_behind_what_was_read_and_written(users: Users) -> None:
    assert reached(users) is None
    users.restore(1, [Record(b"u", state(1), 7), Record(b"v", state(1), 9)])
    assert reached(users) == 9
    await users.write(1, {b"u": state(1, 2)}, landed(10, 12))
    assert reached(users) == 12
    users.restore(1, [Record(b"u", state(1, 2), 11)])
    assert reached(users) == 12, "reading again what is known takes nothing back"


async def test_an_empty_changelog_is_known_from_its_beginning(users: Users) -> None:
    await users.write(1, {b"u": state(1)}, landed(0, 0))
    assert reached(users) == 0


@pytest.mark.parametrize("send", [landed(11, 11), landed(9, 9), ignore])
async def test_what_another_wrote_in_between_is_read_by_the_next_recovery(users: Users, send: Send) -> None:
    users.restore(1, [Record(b"u", state(1), 9)])
    await users.write(1, {b"u": state(1, 2)}, send)
    await users.write(1, {b"u": state(1, 2, 3)}, landed(12, 12))
    assert reached(users) == 9
    assert users.partition(1).get(b"u") == state(1, 2, 3)


async def test_a_late_state_is_found_again_until_it_is_mended(users: Users) -> None:
    """A process that was killed before the next write would leave it last in the changelog, and a compaction would keep it."""
    users.restore(1, [Record(b"u", state(1, 2, offset=20), 5)])
    users.restore(1, [Record(b"u", state(1, offset=10), 6), Record(b"v", state(1), 7)])
    assert reached(users) == 5


async def test_the_newest_offset_of_each_partition(users: Users) -> None:
    await users.write(1, {b"u": state(1, offset=7), b"v": state(1, offset=9)}, ignore)
    await users.write(3, {b"w": state(1, offset=2)}, ignore)
    assert users.newest_offsets() == {1: 9, 3: 2}


async def test_a_disk_that_a_crash_left_behind_reads_the_rest(tmp_path: Path) -> None:
    """Killed between the changelog's confirmation and the put: Kafka has the state, the disk the one before it."""

    async def die(topic: str, states: Mapping[bytes, bytes]) -> Landed:
        raise KeyboardInterrupt

    before, after = state(1, offset=1), state(1, 2, offset=2)
    doomed = DiskShelf(tmp_path / "states")
    doomed.start("this changelog")
    users = table(doomed)
    users.restore(1, [Record(b"u", before, 0)])
    with pytest.raises(KeyboardInterrupt):
        await users.write(1, {b"u": after}, die)
    doomed.stop()
    shelf = DiskShelf(tmp_path / "states")
    shelf.start("this changelog")
    users = table(shelf)
    assert (reached(users), users.partition(1).get(b"u")) == (0, before)
    users.restore(1, [Record(b"u", before, 0), Record(b"u", after, 1)])  # Faust reads the one again that is known
    assert (reached(users), users.partition(1).get(b"u")) == (1, after)
    shelf.stop()

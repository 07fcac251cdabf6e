"""Single cases of the audit: what was moved, what waits, what retention has deleted, and records that nobody of ours wrote."""

import msgspec
import pytest

from activity import names, order
from activity.accounts import Sums
from activity.events import Refused, log_value
from activity.evidence import Marks, States
from activity.facts import log_facts, place_named, waiting_facts
from activity.order import WINDOW
from activity.sequencing import dead_headers
from tests.activity.examples import Record, value
from tests.activity.partitions import record, tick
from tests.activity.world import World, append, named, total


def settled(*records: Record) -> World:
    """All of them were sent to partition 0 and decided."""
    world = World()
    world.send(0, *records)
    world.settle()
    return world


def sums(world: World) -> Sums:
    """Where nothing differs."""
    found, differences = world.audit()
    assert differences == []
    return total(found)


POISON = Record(b"u-1", b"{")
STRAY = Record(b"elsewhere", value(subject="elsewhere"))
KEYLESS = Record(None, value(id="e-9"))


# -- what is counted where ---------------------------------------------------------------------------------------------


def test_each_record_counts_once_where_it_ended() -> None:
    world = settled(record(1), record(1), record(3), tick(0, 60_000), record(2), POISON, STRAY, KEYLESS, record(9))
    found, _ = world.audit()
    assert found[0] == Sums(
        records=10, ticks=1, moved=2, logged=3, late=1, duplicate=1, dead=1, waiting=1, log=4, stored=4
    )  # fmt: skip
    assert found[1] == Sums(records=1, logged=1, log=1, stored=1)
    assert [one.read for one in found] == [7, 1]


def test_what_is_not_read_yet_is_neither_lost_nor_wrong() -> None:
    world = World()
    world.send(0, record(1), POISON, record(2), tick(0, 0))
    world.crash(0, 2, 9, written=False)
    found = sums(world)
    assert (found.unread, found.read, found.log, found.unstored) == (4, 0, 1, 1)


def test_what_was_moved_twice_in_a_crash_is_a_duplicate_there() -> None:
    world = World()
    world.send(0, STRAY)
    world.crash(0, 1, 9, written=True)
    world.settle()
    found = sums(world)
    assert (found.moved, found.logged, found.duplicate) == (1, 1, 1)


def test_an_event_that_was_moved_and_did_not_arrive_is_lost() -> None:
    world = settled(STRAY)
    world.events[1].clear()
    world.log[1].clear()
    world.store.clear()
    world.read[1] = world.archived[1] = 0
    assert named(world.audit()[1]) == [("lost", names.EVENTS, 0, 0)]


def test_an_event_that_comes_again_after_it_was_forgotten_has_two_positions_by_right() -> None:
    world = World()
    ids = [str(number) for number in range(WINDOW + 1)]
    for time, id in enumerate([*ids, "0"]):
        world.send(0, Record(b"u-1", value(id=id), timestamp=time))
    world.settle()
    assert len(world.log[0]) == WINDOW + 2
    assert sums(world).logged == WINDOW + 2


def test_it_has_them_only_if_it_came_again() -> None:
    world = settled(*(Record(b"u-1", value(id=str(number)), timestamp=number) for number in range(WINDOW + 1)))
    again = append(world.log[0], Record(b"u-1", log_value(value(id="0"), WINDOW + 2, "logged", 0.0)))
    assert named(world.audit()[1]) == [("twice", names.LOG, 0, again.offset)]


def test_not_so_soon_even_if_it_came_again() -> None:
    """Its repeat was dropped; the second position can't be that one's."""
    world = settled(Record(b"u-1", value(id="0")), Record(b"u-1", value(id="0")))
    again = append(world.log[0], Record(b"u-1", log_value(value(id="0"), 2, "logged", 0.0)))
    assert named(world.audit()[1]) == [("twice", names.LOG, 0, again.offset)]
    assert total(world.audit()[0]).duplicate == 1


def test_nor_after_a_silence_that_is_long_enough_to_be_forgotten_in() -> None:
    world = World()
    world.quiet_after = 1000.0
    for offset, time in enumerate((0, 999, 1998)):
        world.send(0, Record(b"u-1", value(id="0"), timestamp=time))
        append(world.log[0], Record(b"u-1", log_value(value(id="0"), offset + 1, "logged", time / 1000)))
    world.read[0] = 3
    assert named(world.audit()[1]) == [("twice", names.LOG, 0, 1)], "the third came 1,998 ms after the first"


def test_a_state_that_was_written_late_does_not_count() -> None:
    world = World()
    world.send(0, record(2))
    world.work(0, 1)
    old = world.changelog[0][-1]
    world.send(0, record(1))
    world.work(0, 1)
    append(world.changelog[0], old)
    world.log[0] = world.log[0][:1]
    assert named(world.audit()[1]) == [("lost", names.EVENTS, 0, 0)], "the late state says that it waits"


def test_a_state_that_was_deleted_knows_of_nothing() -> None:
    world = settled(record(2))
    append(world.changelog[0], Record(None, b"of no user"))
    assert sums(world).waiting == 1
    append(world.changelog[0], Record(b"u-1", None))
    assert named(world.audit()[1]) == [("lost", names.EVENTS, 0, 0)]


def test_a_state_of_a_newer_version_is_refused() -> None:
    raw = order.encode(order.decode(settled(record(2)).tables[0][b"u-1"]), 7)
    with pytest.raises(ValueError, match="version 9"):
        States(0).take(Record(b"u-1", b"\x09" + raw[1:]))


def test_an_event_that_waits_though_nobody_sent_it_is_named() -> None:
    world = settled(record(2))
    world.events[0] = [record(1, "u-2")]
    world.read[0] = 0
    assert named(world.audit()[1]) == [("unfounded", names.USERS_CHANGELOG, 0, 0)]


# -- in two places -----------------------------------------------------------------------------------------------------


def letter(offset: str, topic: str = names.EVENTS, partition: str = "0", reason: str = "conflict") -> Record:
    headers = [("a", b""), *dead_headers((), Refused(reason, "why"), topic, 0, 0)[:4]]
    places = [(f"{names.ERROR_HEADER}partition", partition.encode()), (f"{names.ERROR_HEADER}offset", offset.encode())]
    return Record(b"u-1", b"", headers=[*headers, *places])


@pytest.mark.parametrize(("number", "where"), [(1, "activity.log/0/0"), (2, "waits")])
def test_what_is_dead_and_goes_on_as_well_is_named(number: int, where: str) -> None:
    world = settled(record(number))
    append(world.dead[0], letter("0"))
    [found] = world.audit()[1]
    assert named([found]) == [("twice", names.EVENTS, 0, 0)]
    assert where in found.problem


def test_two_events_at_one_position_are_named_by_the_later_one() -> None:
    world = settled(record(1), record(2))
    body = world.events[0][1].value or b""
    world.log[0][1] = Record(b"u-1", log_value(body, 1, "logged", 0.0), 1)
    found = named(world.audit()[1])
    assert ("position", names.LOG, 0, 1) in found
    assert ("not-stored", names.LOG, 0, 1) in found


def test_what_the_store_could_not_take_is_accounted_for_by_its_dead_letter() -> None:
    world = settled(record(1), record(2))
    del world.store["u-1", 2]
    append(world.dead[0], letter("1", names.LOG, reason="rule"))
    assert named(world.audit()[1]) == [("not-stored", names.LOG, 0, 1)], "the notifier's letter says nothing of the store"
    append(world.dead[0], letter("1", names.LOG, reason="log-conflict"))
    assert sums(world).refused == 1


def test_what_the_store_has_from_after_this_look_is_no_difference() -> None:
    world = settled(record(1), record(2))
    newest = world.log[0].pop()
    world.archived[0], world.read[0] = 1, 1
    world.newest = [newest.offset + 1, 0]
    assert sums(world).stored == 1
    world.newest = [newest.offset, 0]
    assert named(world.audit()[1]) == [("not-on-log", names.LOG, 0, 1)], "but not from after its end"


# -- records that nobody of ours wrote ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        None,
        b"junk",
        value(),
        log_value(value(), 0, "logged", 0.0),
        log_value(value(), 2**63, "logged", 0.0),
        log_value(value(), 1, "logged", 0.0).replace(b"1970", b"never"),
        b'{"position":1,' + log_value(value(), 1, "logged", 0.0).replace(b',"position":1', b"")[1:],
    ],
)
def test_a_record_of_the_log_that_the_sequencer_can_not_have_written_is_named(raw: bytes | None) -> None:
    world = settled(record(1))
    append(world.log[0], Record(b"u-1", raw))
    assert log_facts(0, 1, raw) is None
    assert named(world.audit()[1]) == [("foreign", names.LOG, 0, 1)]


@pytest.mark.parametrize(
    ("planted", "kind"),
    [
        (Record(b"u-1", b""), "foreign"),
        (letter("x"), "foreign"),
        (letter("0", "other.topic"), "foreign"),
        (letter("1"), "unfounded"),
        (letter("0", partition="7"), "unfounded"),
    ],
)
def test_a_dead_letter_of_nothing_is_named(planted: Record, kind: str) -> None:
    world = settled(record(1))
    append(world.dead[0], planted)
    assert named(world.audit()[1]) == [(kind, names.DEAD, 0, 0)]


def test_what_waits_and_is_no_event_says_nothing() -> None:
    """A state that is read with newer rules may hold what they refuse."""
    source = order.Source(waiting=(order.Waiting(2, b"1234", 0.0, b"{}"),))
    assert waiting_facts(0, 0, order.encode(order.State(0, {"/web": source}), 0)) == []


def test_a_header_that_names_no_record_is_no_origin() -> None:
    assert place_named(b"activity.events/3/41") == (3, 41)
    for text in (
        None,
        b"",
        b"activity.log/3/41",
        b"activity.events/x/1",
        b"activity.events/1/-1",
        b"activity.events/1/" + b"9" * 40,
    ):
        assert place_named(text) is None


def test_marks_know_only_offsets_of_their_partition() -> None:
    marks = Marks(10, 20)
    for offset in (9, 10, 19, 20):
        marks.add(offset)
    assert [offset for offset in range(40) if offset in marks] == [10, 19]


# -- retention ---------------------------------------------------------------------------------------------------------


def test_what_was_deleted_from_the_log_is_known_from_the_store() -> None:
    world = settled(record(1), record(2), record(3))
    world.begin[names.LOG] = [2, 0]
    found = sums(world)
    assert (found.logged, found.log, found.stored, found.unchecked) == (3, 1, 3, 0)
    world.begin[names.LOG] = [3, 0]
    assert sums(world).logged == 3
    del world.store["u-1", 2]
    assert named(world.audit()[1]) == [("lost", names.EVENTS, 0, 1), ("hole", names.LOG, 0, 2)]


def test_an_event_whose_record_was_deleted_is_known_from_the_log() -> None:
    world = settled(
        *(record(n, timestamp=n) for n in (1, 2)), *(record(1, timestamp=9),), *(record(4, timestamp=10), record(3, timestamp=11))
    )
    world.begin[names.EVENTS] = [1, 0]
    found = sums(world)
    assert (found.records, found.logged, found.duplicate, found.log) == (4, 3, 1, 4), "a repeat of what was deleted"
    waiting = settled(record(2, timestamp=1), record(1, "u-2", timestamp=2))
    waiting.begin[names.EVENTS] = [1, 0]
    assert (sums(waiting).waiting, sums(waiting).logged) == (0, 1)


@pytest.mark.parametrize("broken", [POISON, Record(b"u-1", value(id="other", sequence="1"))])
def test_an_event_whose_dead_letter_may_be_deleted_can_not_be_checked(broken: Record) -> None:
    world = settled(record(1), broken)
    world.begin[names.DEAD] = [1, 0]
    assert (sums(world).unchecked, sums(world).dead) == (1, 0)


def test_an_event_whose_copy_may_be_deleted_where_it_was_moved_to_can_not_be_checked() -> None:
    world = settled(STRAY)
    world.begin[names.EVENTS] = [0, 1]
    world.begin[names.LOG] = [0, 1]
    assert sums(world).unchecked == 1
    assert sums(world).moved == 0


def test_what_came_after_the_first_record_that_is_left_was_not_deleted() -> None:
    world = settled(POISON, *(msgspec.structs.replace(POISON, timestamp=10**12) for _ in range(2)))
    world.begin[names.DEAD] = [1, 0]
    world.dead[0].pop()
    assert named(world.audit()[1]) == [("lost", names.EVENTS, 0, 2)]


def test_sums_are_added() -> None:
    first = Sums(records=5, ticks=1, logged=3, lost=1)
    first.add(Sums(records=1, unread=1))
    assert (first.records, first.read, first.ended) == (6, 4, 3)

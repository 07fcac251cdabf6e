"""What the sequencer made of whatever came adds up; what is taken away, altered or put in between is named by the audit."""

import msgspec
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from activity import names, order
from activity.events import decode_log, log_value, rfc3339
from tests.activity.examples import Record
from tests.activity.partitions import record
from tests.activity.test_replay import streams
from tests.activity.world import PARTITIONS, World, append, named, total

SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much]
"""A world takes a while to make, where the machine is busy; and not each has what a fault needs."""
few = settings(max_examples=40, deadline=None, suppress_health_check=SLOW)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """An installation that has worked on a stream, with crashes, up to some point."""
    world = World()
    world.send(0, *draw(streams()))
    for _ in range(draw(st.integers(0, 8))):
        number = draw(st.integers(0, PARTITIONS - 1))
        match draw(st.sampled_from(["work", "work", "work", "crash", "archive"])):
            case "work":
                world.work(number, draw(st.integers(1, 12)))
            case "crash":
                world.crash(number, draw(st.integers(1, 12)), draw(st.integers(0, 12)), draw(st.booleans()))
            case _:
                world.archive(number)
    if draw(st.booleans()):
        world.settle()
    return world


def chosen(data: st.DataObject, world: World) -> tuple[int, Record]:
    """A partition, and a record of its log that was made of one that is read, and that no state takes for waiting still.

    (After a crash one may: its release is on the log, and comes again.)
    """
    candidates = [
        (number, entry)
        for number, log in enumerate(world.log)
        for entry in log
        if origin(world, number, entry) < world.read[number] and not waits(world, number, entry)
    ]
    assume(candidates)
    return data.draw(st.sampled_from(candidates))


def origin(world: World, number: int, entry: Record) -> int:
    """The offset of the record that a record of the log was made of."""
    found = decode_log(value_of(entry))
    for sent in world.events[number]:
        body = (sent.value or b"")[:-1]
        if (
            sent.key == entry.key
            and value_of(entry).startswith(body + b',"position"')
            and rfc3339(sent.timestamp / 1000) == found.received
        ):
            return sent.offset
    raise AssertionError("it was made of nothing")


def waits(world: World, number: int, entry: Record) -> bool:
    """Whether the newest state of its user has it among what waits."""
    state = order.decode(world.tables[number].get(entry.key or b"") or order.encode(order.State(), 0))
    return any(value_of(entry).startswith(held.raw[:-1]) for source in state.sources.values() for held in source.waiting)


def value_of(entry: Record) -> bytes:
    assert entry.value is not None
    return entry.value


def positions(world: World, number: int, entry: Record) -> dict[int, Record]:
    """The positions of its user, each with the first record that has it."""
    found: dict[int, Record] = {}
    for other in world.log[number]:
        if other.key == entry.key:
            found.setdefault(decode_log(value_of(other)).position, other)
    return found


def moved_to(entry: Record, position: int) -> bytes:
    """The record with another position."""
    found, raw = decode_log(value_of(entry)), value_of(entry)
    return raw[: raw.rfind(b',"position":')] + b',"position":%d,"verdict":"%b","received":"%b"}' % (
        position, found.verdict.encode(), found.received.encode(),
    )  # fmt: skip


@settings(deadline=None, suppress_health_check=SLOW)
@given(worlds())
def test_what_the_sequencer_made_adds_up(world: World) -> None:
    sums, differences = world.audit()
    assert differences == []
    for number, one in enumerate(sums):
        assert one.records == len(world.events[number])
        assert one.read == one.ended
        assert one.unread == len(world.events[number]) - world.read[number]
        assert one.log == len(world.log[number])
        assert one.stored == sum(row.partition == number for row in world.store.values())
    if not total(sums).unread:
        waiting = [order.decode(raw) for table in world.tables for raw in table.values()]
        assert total(sums).waiting == sum(len(source.waiting) for state in waiting for source in state.sources.values())
        assert total(sums).logged + total(sums).late == sum(state.position for state in waiting)
        assert total(sums).duplicate == sum(state.duplicates for state in waiting)
        entries = {(entry.key, decode_log(value_of(entry)).position): entry for log in world.log for entry in log}
        assert total(sums).late == sum(decode_log(value_of(entry)).verdict == "late" for entry in entries.values())
        assert total(sums).repeated == total(sums).log - len(entries)


@few
@given(worlds(), st.data())
def test_an_accepted_record_that_vanished_is_named(world: World, data: st.DataObject) -> None:
    number, entry = chosen(data, world)
    lost = origin(world, number, entry)
    world.log[number] = [other for other in world.log[number] if other.value != entry.value]
    found = named(world.audit()[1])
    assert ("lost", names.EVENTS, number, lost) in found
    position = decode_log(value_of(entry)).position
    later = positions(world, number, entry).get(position + 1)
    if later is not None:
        assert {("hole", names.LOG, number, later.offset), ("not-on-log", names.LOG, number, entry.offset)} & set(found)


@few
@given(worlds(), st.data())
def test_a_record_with_another_position_is_named(world: World, data: st.DataObject) -> None:
    number, entry = chosen(data, world)
    before = positions(world, number, entry)
    position = decode_log(value_of(entry)).position
    other = data.draw(st.integers(1, len(before) + 3).filter(lambda drawn: drawn != position))
    at = next(place for place, one in enumerate(world.log[number]) if one is entry)
    world.log[number][at] = msgspec.structs.replace(entry, value=moved_to(entry, other))
    found = named(world.audit()[1])
    if before[position] is entry and all(one is entry or one.value != entry.value for one in world.log[number]):
        suspects = {entry.offset, *(one.offset for place, one in before.items() if place in (position + 1, other))}
        assert any(kind in ("hole", "position") and where in suspects for kind, _, _, where in found)
    else:
        assert ("twice", names.LOG, number, max(entry.offset, other_offset(world, number, entry))) in found


def other_offset(world: World, number: int, entry: Record) -> int:
    """Where the record stands once more that `entry` repeats, or that repeats it."""
    return next(one.offset for one in world.log[number] if one.offset != entry.offset and one.value == entry.value)


@few
@given(worlds(), st.data())
def test_a_repeat_with_a_position_of_its_own_is_named(world: World, data: st.DataObject) -> None:
    number, entry = chosen(data, world)
    assume(world.quiet_after > 0 or decode_log(value_of(entry)).sequence is not None)  # it may have been forgotten
    again = Record(entry.key, moved_to(entry, len(positions(world, number, entry)) + 1))
    planted = append(world.log[number], again)
    if data.draw(st.booleans()):
        world.archive(number)
    assert named(world.audit()[1]) == [("twice", names.LOG, number, planted.offset)]


@few
@given(worlds(), st.data())
def test_a_record_that_was_altered_on_the_way_is_named(world: World, data: st.DataObject) -> None:
    number, entry = chosen(data, world)
    lost = origin(world, number, entry)
    altered = value_of(entry).replace(b'"type":"page.viewed"', b'"type":"page.closed"')
    world.log[number] = [
        msgspec.structs.replace(one, value=altered) if one.value == entry.value else one for one in world.log[number]
    ]
    found = named(world.audit()[1])
    assert ("altered", names.LOG, number, positions(world, number, entry)[decode_log(altered).position].offset) in found
    assert ("lost", names.EVENTS, number, lost) in found


@few
@given(worlds(), st.data())
def test_a_repeat_that_is_not_the_same_is_named(world: World, data: st.DataObject) -> None:
    number, entry = chosen(data, world)
    planted = append(world.log[number], Record(entry.key, value_of(entry).replace(b"page.viewed", b"page.closed")))
    assert ("position", names.LOG, number, planted.offset) in named(world.audit()[1])


@few
@given(worlds(), st.data())
def test_an_event_that_nobody_sent_is_named(world: World, data: st.DataObject) -> None:
    number, entry = chosen(data, world)
    user = (entry.key or b"").decode()
    invented = log_value(value_of(record(999, user)), len(positions(world, number, entry)) + 1, "logged", 0.0)
    planted = append(world.log[number], Record(entry.key, invented))
    assert named(world.audit()[1]) == [("unfounded", names.LOG, number, planted.offset)]


@few
@given(worlds(), st.data())
def test_a_dead_letter_that_vanished_is_named(world: World, data: st.DataObject) -> None:
    letters = [
        (number, letter)
        for number, dead in enumerate(world.dead)
        for letter in dead
        if dict(letter.headers)[names.REASON_HEADER] != b"too-old"  # a repeat of what was logged may be: that is a duplicate then
    ]
    assume(letters)
    number, letter = data.draw(st.sampled_from(letters))
    where = int(dict(letter.headers)["__streams.errors.offset"] or b"")
    assume(where < world.read[number])
    world.dead[number] = [
        one for one in world.dead[number] if dict(one.headers)["__streams.errors.offset"] != str(where).encode()
    ]
    assert named(world.audit()[1]) == [("lost", names.EVENTS, number, where)]


@few
@given(worlds(), st.data())
def test_what_no_longer_waits_and_is_not_on_the_log_is_named(world: World, data: st.DataObject) -> None:
    waiting = [
        (number, user, held)
        for number, table in enumerate(world.tables)
        for user, raw in table.items()
        for source in order.decode(raw).sources.values()
        for held in source.waiting
        if not any(value_of(entry).startswith(held.raw[:-1]) for entry in world.log[number] if entry.key == user)  # after a crash
    ]
    assume(waiting)
    number, user, held = data.draw(st.sampled_from(waiting))
    state = world.tables[number][user]
    forgetful = order.encode(order.State(), order.peek(state)[0])
    append(world.changelog[number], Record(user, forgetful))
    found = named(world.audit()[1])
    lost = min(one.offset for one in world.events[number] if one.value == held.raw and one.timestamp == round(held.since * 1000))
    assert (("lost", names.EVENTS, number, lost) in found) == (lost < world.read[number])


@few
@given(worlds(), st.data())
def test_a_store_that_is_not_as_the_log_is_named(world: World, data: st.DataObject) -> None:
    assume(world.store)
    place = data.draw(st.sampled_from(sorted(world.store)))
    row = world.store[place]
    fault = data.draw(st.sampled_from(["gone", "altered", "invented"]))
    if fault == "gone":
        del world.store[place]
        expected = {("not-stored", names.LOG, row.partition, row.offset)}
    elif fault == "altered":
        world.store[place] = msgspec.structs.replace(row, event=row.event.replace(b"page.viewed", b"page.closed"))
        expected = {("not-stored", names.LOG, row.partition, row.offset)}
    else:
        invented = msgspec.structs.replace(row, position=row.position + 1000, offset=10**6)
        world.store[row.user, invented.position] = invented
        expected = {("not-on-log", names.LOG, row.partition, 10**6)}
    found = set(named(world.audit()[1]))
    assert expected <= found
    assert all(kind == "not-stored" for kind, *_ in found - expected), "a repeat of it on the log is not stored either"

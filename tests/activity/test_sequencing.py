"""What a chunk of `activity.events` becomes: logged, waiting, given up, moved, dead."""

from collections.abc import Mapping

import msgspec
import pytest

from activity import names, order
from activity.events import Refused, decode_log
from activity.order import MAX_STATE
from activity.sequencing import Step, dead_headers, sequence
from activity.ticks import tick_value
from tests.activity.cores import CORES
from tests.activity.examples import Record, chunk, value
from tests.activity.partitions import Table, owner, record, tick, work


@pytest.fixture(autouse=True, params=CORES)
def core(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test here runs for both cores."""
    monkeypatch.setattr(sequence, "__defaults__", (request.param,))


def here(_: bytes) -> int:
    return 0


def ids(step: Step) -> list[str]:
    return [decode_log(raw).id for _, raw in step.log]


# -- gaps and ticks ----------------------------------------------------------------------------------------------------


def test_a_tick_gives_up_the_gaps_that_are_old_by_its_own_time() -> None:
    table = Table()
    table |= work([record(2, timestamp=10_000)], table).states
    for early in (0, 14_999):
        step = work([tick(1, early)], table)
        assert (step.log, step.states, step.counts) == ([], {}, {"tick": 1})
    step = work([tick(1, 15_000)], table)
    assert ids(step) == ["e-2"]
    assert step.counts == {"released": 1, "tick": 1}
    assert order.peek(step.states[b"u-1"]) == (1, None)
    assert decode_log(step.log[0][1]).received == "1970-01-01T00:00:10.000Z", "when it came, not when it was released"
    assert work([tick(1, 15_000)], Table(table | step.states)).log == [], "read again, its users know of it"


def test_a_tick_decides_for_users_of_its_own_chunk_too() -> None:
    step = work([record(2), tick(1, 5000), record(1, offset=2, timestamp=5001)], Table())
    assert ids(step) == ["e-2", "e-1"]
    assert [decode_log(raw).verdict for _, raw in step.log] == ["logged", "late"]


def test_a_tick_read_again_leaves_later_events_alone() -> None:
    """The state of u-1 was written with what came after the tick, that of u-2 was not."""
    before = [record(2), record(2, "u-2", offset=1)]
    table = Table(work(before, Table()).states)
    part = [tick(2, 6000), record(4, offset=3, timestamp=6000), record(4, "u-2", offset=4, timestamp=6000)]
    first = work(part, table)
    table[b"u-1"] = first.states[b"u-1"]
    again = work([*part, tick(5, 7000)], table)
    assert [(user, raw) for user, raw in first.log if user == b"u-2"] == again.log
    assert again.counts == {"tick": 2, "released": 1, "repeated": 1, "waiting": 1}


def test_a_tick_read_again_does_not_touch_what_came_after_it() -> None:
    """The broker's clock was set back: by time alone the event would be old enough."""
    part = [tick(0, 60_000), record(2, offset=1, timestamp=1000)]
    first = work(part, Table())
    assert first.counts == {"tick": 1, "waiting": 1}
    assert work(part, Table(first.states)) == Step(counts={"tick": 1, "repeated": 1})


def test_a_user_whose_state_vanished_is_passed_over_by_ticks() -> None:
    class Vanished(Table):
        @property
        def waiting(self) -> Mapping[bytes, float]:
            return {b"u-9": 0.0}

    assert work([tick(0, 10**9)], Vanished()).counts == {"tick": 1}


def test_events_that_a_full_buffer_pushes_out_are_released() -> None:
    part = [record(number, offset=number) for number in range(2, order.WINDOW + 3)]
    step = work(part, Table())
    assert len(step.log) == order.WINDOW + 1
    assert step.counts == {"waiting": order.WINDOW, "released": order.WINDOW, "logged": 1}


# -- moved records -----------------------------------------------------------------------------------------------------


def test_an_event_without_a_key_is_sent_again_with_it() -> None:
    raw = value(subject="Ğ")
    headers = [("a", b"1"), (names.MOVED_HEADER, b"old"), ("a", b"2")]
    step = sequence(chunk(Record(None, raw, 7, headers=headers), partition=2), Table(), lambda user: len(user))
    assert step == Step(
        moved={2: [("Ğ".encode(), raw, [("a", b"1"), ("a", b"2"), (names.MOVED_HEADER, b"activity.events/2/7")])]},
        counts={"moved": 1},
    )


def test_an_event_on_a_wrong_partition_is_sent_to_the_right_one() -> None:
    parts = [record(1, "u-1", offset=5), record(1, "u-10", offset=6), record(2, "u-1", offset=7)]
    step = sequence(chunk(*parts), Table(), lambda user: len(user))
    assert {partition: [(key, raw) for key, raw, _ in pairs] for partition, pairs in step.moved.items()} == {
        3: [(b"u-1", parts[0].value), (b"u-1", parts[2].value)],
        4: [(b"u-10", parts[1].value)],
    }
    assert (step.log, step.states) == ([], {})


def test_the_moved_one_of_two_is_the_duplicate() -> None:
    """A crash may send it twice; the far partition keeps one."""
    moved = sequence(chunk(Record(None, value(sequence="1"))), Table(), here).moved[0]
    step = work([Record(key, raw, offset, 0, headers) for offset, (key, raw, headers) in enumerate(moved * 2)], Table())
    assert step.counts == {"logged": 1, "duplicate": 1}


def test_the_same_user_in_another_partition_is_another() -> None:
    """Before its sender was mended, events of u-1 reached partition 0; it goes on there, its state elsewhere is not touched."""
    strays, home = Table(work([record(1)], Table()).states), Table()
    step = sequence(chunk(record(1)), home, here)
    assert [decode_log(raw).position for _, raw in step.log] == [1]
    assert strays == step.states
    known_here = sequence(chunk(record(2, offset=9)), strays, lambda _: 3)
    assert (ids(known_here), known_here.moved) == (["e-2"], {}), "a user that is known here stays here"


# -- dead records ------------------------------------------------------------------------------------------------------


def test_a_dead_record_is_untouched_and_says_why_and_whence() -> None:
    broken = Record(b"u-1", b"{", 41, 0, [("trace", b"x"), (names.REASON_HEADER, b"old"), (f"{names.ERROR_HEADER}offset", b"1")])
    step = sequence(chunk(broken, partition=3), Table(), here)
    assert step == Step(
        dead=[
            (
                b"u-1",
                b"{",
                [
                    ("trace", b"x"),
                    ("chopar-reason", b"not-json"),
                    ("__streams.errors.exception", b"Refused"),
                    ("__streams.errors.message", b"Input data was truncated"),
                    ("__streams.errors.topic", b"activity.events"),
                    ("__streams.errors.partition", b"3"),
                    ("__streams.errors.offset", b"41"),
                ],
            )
        ],
        counts={"dead": 1},
    )


def test_a_problem_that_utf8_cannot_hold_is_written_all_the_same() -> None:
    assert ("__streams.errors.message", b"?") in dead_headers((), Refused("x", "\ud800"), "t", 0, 0)


def test_a_conflict_is_dead_and_its_state_remembers_the_offset() -> None:
    conflict = Record(b"u-1", value(id="other", sequence="1"), 1)
    step = work([record(1), conflict], Table())
    assert step.counts == {"logged": 1, "dead": 1}
    assert dict(step.dead[0][2])["chopar-reason"] == b"conflict"
    assert work([conflict], Table(step.states)).counts == {"repeated": 1}


def test_a_state_that_is_full_refuses_and_stays() -> None:
    big = [Record(b"u-1", value(id=str(n), sequence=str(n), data="x" * 200_000), n) for n in range(2, 6)]
    step = work(big, Table())
    assert step.counts == {"waiting": 2, "dead": 2}
    assert {dict(headers)["chopar-reason"] for _, _, headers in step.dead} == {b"state-full"}
    assert len(step.states[b"u-1"]) <= MAX_STATE


def test_a_header_that_only_looks_like_a_tick_is_none() -> None:
    step = work([msgspec.structs.replace(record(1), headers=[(names.KIND_HEADER, b"tock")])], Table())
    assert step.counts == {"logged": 1}


def test_a_dead_letter_that_could_not_be_sent_whole_is_cut_and_says_so() -> None:
    """A record that came compressed may be larger than any topic takes."""
    step = sequence(chunk(Record(b"u-1", b"x" * 3_000_000)), Table(), lambda _: 0)
    [(key, value, headers)] = step.dead
    assert (key, value) == (b"u-1", b"x" * 65536)
    assert dict(headers)["chopar-cut"] == b"3000003"
    assert dict(headers)["chopar-reason"] == b"too-big"


@pytest.mark.parametrize(
    "raw",
    [
        None,
        b"{}",
        b"[]",
        b'{"gap_timeout":"5"}',
        b'{"gap_timeout":-1}',
        b'{"gap_timeout":1e999}',
        b"\xff",
        b'{"gap_timeout":5,"quiet_after":-1}',
        b'{"gap_timeout":5,"quiet":"u-1"}',
        b'{"gap_timeout":5,"loud":[]}',
    ],
)
def test_a_record_that_only_has_the_header_of_a_tick_is_decided_as_an_event(raw: bytes | None) -> None:
    header = (names.KIND_HEADER, names.TICK)
    assert sequence(chunk(Record(None, raw, headers=[header])), Table(), owner).counts == {"dead": 1}
    for key, count in ((b"u-1", "logged"), (None, "moved")):
        assert sequence(chunk(Record(key, value(), headers=[header])), Table(), owner).counts == {count: 1}
    keyed = Record(b"u-1", tick_value(5.0), headers=[header])
    assert sequence(chunk(keyed), Table(), owner).counts == {"dead": 1}


def test_a_tick_decides_by_the_timeout_it_carries_not_by_a_setting() -> None:
    """Read again after a restart with another setting it must not give other positions."""
    table = Table()
    table.update(work([record(2, timestamp=0)], table).states)
    assert work([tick(1, 6_000, gap_timeout=10.0)], table).log == []
    assert len(work([tick(2, 6_000, gap_timeout=5.0)], table).log) == 1


# -- quiet users -------------------------------------------------------------------------------------------------------

DAY = 86_400_000
WEEK = 7 * 86_400.0


def weekly(offset: int, timestamp: int, *users: bytes) -> Record:
    """A tick that names `users`, for a quiet week."""
    return tick(offset, timestamp, quiet_after=WEEK, quiet=users)


def test_a_user_quiet_for_a_week_shrinks_to_position_and_next_sequences() -> None:
    events = [record(n, offset=n) for n in (1, 2)] + [Record(b"u-1", value(id="x"), 3)]
    table = Table(work(events, Table()).states)
    early = work([weekly(4, 7 * DAY - 1, b"u-1")], table)
    assert (early.states, early.counts) == ({}, {"tick": 1})
    step = work([weekly(4, 7 * DAY, b"u-1", b"nobody")], table)
    assert step == Step(states=step.states, counts={"tick": 1})
    state = order.decode(step.states[b"u-1"])
    assert state == order.State(3, {"/web": order.Source(3)})
    assert len(step.states[b"u-1"]) < len(table[b"u-1"])
    assert order.peek(step.states[b"u-1"]) == (4, None)
    table |= step.states
    assert work([weekly(5, 20 * DAY, b"u-1")], table).states == {}, "once is enough"
    assert [decode_log(raw).position for _, raw in work([record(3, offset=6, timestamp=20 * DAY)], table).log] == [4]


def test_a_user_that_came_back_before_the_tick_was_read_is_not_forgotten() -> None:
    table = Table(work([record(1)], Table()).states)
    back = record(2, offset=1, timestamp=7 * DAY)
    assert order.decode(work([back, weekly(2, 7 * DAY, b"u-1")], table).states[b"u-1"]).sources["/web"].recent
    again = record(1, offset=1, timestamp=7 * DAY)
    assert order.decode(work([again, weekly(2, 7 * DAY, b"u-1")], table).states[b"u-1"]).sources["/web"].recent, "nor a repeat"


def test_a_user_for_whom_an_event_waits_is_not_forgotten() -> None:
    table = Table(work([record(2)], Table()).states)
    assert work([tick(1, 9 * DAY, 30 * WEEK, WEEK, [b"u-1"])], table).states == {}


def test_a_user_named_by_a_tick_is_forgotten_wherever_chunks_are_cut() -> None:
    part = [record(1), weekly(1, 8 * DAY, b"u-1"), record(1, offset=2, timestamp=8 * DAY)]
    whole = work(part, Table())
    table, dead = Table(), 0
    for one in part:
        step = work([one], table)
        table |= step.states
        dead += step.counts.get("dead", 0)
    assert table == whole.states
    assert whole.counts["dead"] == dead == 1


def test_a_tick_that_names_users_decides_the_same_when_it_is_read_again() -> None:
    """Its state was written with what came after it, that of u-2 was not."""
    table = Table(work([record(1), record(1, "u-2", offset=1)], Table()).states)
    part = [weekly(2, 8 * DAY, b"u-1", b"u-2"), record(2, offset=3, timestamp=8 * DAY)]
    first = work(part, table)
    again = work(part, Table(table | {b"u-1": first.states[b"u-1"]}))
    assert again.states == {b"u-2": first.states[b"u-2"]}

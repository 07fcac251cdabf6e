"""The sequencer's rule: whatever happens on the way, the log is what the events say."""

import math
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity.events import Event, Refused
from activity.order import (
    MAX_STATE,
    WINDOW,
    Accepted,
    Decision,
    Duplicate,
    State,
    Waits,
    advance,
    decode,
    encode,
    expire,
    forget,
    is_quiet,
    peek,
    waiting_since,
)
from tests.activity.examples import event


def run(events: Sequence[Event], state: State | None = None, now: float = 0.0) -> tuple[State, list[Decision]]:
    """Advance over `events`, through bytes each time, as the table keeps them."""
    state, decisions = state or State(), []
    for one in events:
        state, made = advance(decode(encode(state, 0)), one, now)
        decisions += made
    return state, decisions


def accepted(decisions: Sequence[Decision]) -> list[Accepted]:
    return [decision for decision in decisions if isinstance(decision, Accepted)]


def ids(decisions: Sequence[Decision]) -> list[str]:
    return [msgspec.json.decode(one.raw)["id"] for one in accepted(decisions)]


@st.composite
def disturbed(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """The events of up to three sources, and the same with any order and any repetition."""
    sources = draw(st.lists(st.sampled_from(["/web", "/app", "/shop"]), min_size=1, max_size=3, unique=True))
    counts = [draw(st.integers(min_value=1, max_value=25)) for _ in sources]
    stream = [event(n, source=source) for source, count in zip(sources, counts, strict=True) for n in range(1, count + 1)]
    repeats = draw(st.lists(st.sampled_from(stream), max_size=20))
    return stream, draw(st.permutations(stream + repeats))


@given(disturbed())
def test_any_order_and_repetition_gives_the_log_of_the_stream_in_order(case: tuple[list[Event], list[Event]]) -> None:
    stream, arrivals = case
    state, decisions = run(arrivals)
    found = ids(decisions)
    assert sorted(found) == sorted(one.id for one in stream), "each event stands once"
    for source in {one.source for one in stream}:
        of_source = [one.id for one in stream if one.source == source]
        assert [id for id in found if id in of_source] == of_source, "each source stands in its order"
    assert [one.position for one in accepted(decisions)] == list(range(1, len(stream) + 1)), "no hole, no repetition"
    assert {one.verdict for one in accepted(decisions)} == {"logged"}
    assert waiting_since(state) is None


@given(disturbed())
def test_every_event_gets_one_verdict_or_waits(case: tuple[list[Event], list[Event]]) -> None:
    _, arrivals = case
    state = State()
    counts = {"read": 0, "accepted": 0, "duplicate": 0, "dead": 0}
    for one in arrivals:
        state, decisions = advance(state, one, 0.0)
        counts["read"] += 1
        counts["accepted"] += len(accepted(decisions))
        counts["duplicate"] += sum(isinstance(decision, Duplicate) for decision in decisions)
        counts["dead"] += sum(isinstance(decision, Refused) for decision in decisions)
        waiting = sum(len(source.waiting) for source in state.sources.values())
        assert counts["read"] == counts["accepted"] + counts["duplicate"] + counts["dead"] + waiting
        assert counts["accepted"] == state.position
        assert counts["duplicate"] == state.duplicates


Delays = st.lists(st.tuples(st.integers(1, 40), st.floats(0, 30), st.booleans()), min_size=1, max_size=60)


@given(Delays)
def test_gaps_that_are_given_up_lose_nothing(arrivals: list[tuple[int, float, bool]]) -> None:
    """Events come at any time, in any order, with ticks between them: what is read ends somewhere, positions have no hole."""
    state, decisions, now = State(), list[Decision](), 0.0
    for sequence, pause, tick in arrivals:
        now += pause
        state, made = advance(state, event(sequence), now)
        decisions += made
        if tick:
            state, made = expire(state, now - 5.0)
            decisions += made
            since = waiting_since(state)
            assert since is None or since > now - 5.0, "nobody waits for longer than the timeout"
    state, made = expire(state, now)
    decisions += made
    assert sorted(ids(decisions)) == sorted({f"/web-{sequence}" for sequence, _, _ in arrivals})
    assert [one.position for one in accepted(decisions)] == list(range(1, state.position + 1))
    in_order = [one for one in accepted(decisions) if one.verdict == "logged"]
    assert ids(in_order) == sorted(ids(in_order), key=lambda id: int(id.removeprefix("/web-")))


def test_the_gap_is_given_up_and_the_missing_event_is_logged_late() -> None:
    state, _ = run([event(1), event(3)], now=10.0)
    assert expire(state, 9.9) == (state, [])
    state, decisions = expire(state, 10.0)
    assert [(one.position, one.verdict) for one in accepted(decisions)] == [(2, "logged")]
    state, decisions = run([event(2)], state)
    assert [(one.position, one.verdict) for one in accepted(decisions)] == [(3, "late")]
    state, decisions = run([event(2)], state)
    assert decisions == [Duplicate()]


def test_received_is_when_the_event_came_not_when_it_was_released() -> None:
    state, _ = advance(State(), event(2), 7.0)
    _, decisions = advance(state, event(1), 9.0)
    assert [one.received for one in accepted(decisions)] == [9.0, 7.0]


def test_more_than_the_window_waiting_gives_the_first_gap_up() -> None:
    state, decisions = run([event(n) for n in range(2, WINDOW + 2)])
    assert decisions == [Waits()] * WINDOW
    _, decisions = run([event(WINDOW + 2)], state)
    assert len(accepted(decisions)) == WINDOW + 1
    assert not any(isinstance(decision, Waits) for decision in decisions)


def test_an_event_that_is_released_at_once_by_a_full_buffer_is_not_counted_as_waiting() -> None:
    state, _ = run([event(n) for n in range(10, 10 + WINDOW)])
    state, decisions = run([event(5)], state)
    assert ids(decisions) == ["/web-5"]
    assert not any(isinstance(decision, Waits) for decision in decisions)


def test_the_same_sequence_with_another_id_is_a_conflict() -> None:
    state, _ = run([event(1), event(3)])
    for sequence in (1, 3):
        after, decisions = advance(state, event(sequence, id="another"), 0.0)
        assert after == state
        assert [decision.reason for decision in decisions if isinstance(decision, Refused)] == ["conflict"]


def test_what_is_older_than_the_window_is_dead_not_dropped() -> None:
    state, _ = run([event(n) for n in range(1, WINDOW + 3)])
    _, decisions = advance(state, event(2), 0.0)
    assert [decision.reason for decision in decisions if isinstance(decision, Refused)] == ["too-old"]
    _, decisions = advance(state, event(3), 0.0)
    assert decisions == [Duplicate()]


def test_a_jump_over_more_than_the_window_keeps_it_right() -> None:
    state, _ = run([event(1), event(5000)])
    state, decisions = expire(state, 0.0)
    assert ids(decisions) == ["/web-5000"]
    assert len(state.sources["/web"].recent) == 4 * WINDOW
    _, decisions = advance(state, event(4999), 0.0)
    assert [one.verdict for one in accepted(decisions)] == ["late"]
    _, decisions = advance(state, event(5000 - WINDOW), 0.0)
    assert [decision.reason for decision in decisions if isinstance(decision, Refused)] == ["too-old"]


def test_without_a_sequence_the_order_of_arrival_counts() -> None:
    events = [event(id=id) for id in "cabac"]
    state, decisions = run(events)
    assert ids(decisions) == ["c", "a", "b"]
    assert state.duplicates == 2


def test_ids_are_told_apart_by_source() -> None:
    state, decisions = run(
        [event(id="1", source="/a"), event(id="1", source="/b"), event(id="11", source="/"), event(id="1", source="/1")]
    )
    assert len(accepted(decisions)) == 4
    assert state.duplicates == 0


def test_a_state_never_outgrows_a_kafka_record() -> None:
    big = event(3)
    big = msgspec.structs.replace(big, raw=big.raw[:-1] + b',"data":"' + b"x" * 200_000 + b'"}')
    state, _ = run([event(1)])
    refused = []
    for sequence in range(3, 8):
        state, decisions = advance(state, msgspec.structs.replace(big, sequence=sequence, id=str(sequence)), 0.0)
        refused += [decision.reason for decision in decisions if isinstance(decision, Refused)]
    assert refused == ["state-full"] * 3
    for number in range(400):
        state, decisions = advance(state, event(1, source=f"/source/{number}"), 0.0)
        refused += [decision.reason for decision in decisions if isinstance(decision, Refused)]
    assert len(refused) > 3
    assert len(encode(state, 0)) <= MAX_STATE


def test_a_state_of_many_full_sources_fits() -> None:
    state = State()
    for number in range(2000):
        name = f"/s/{number}"
        for sequence in range(1, WINDOW + 1) if number < 400 else (1,):
            state, _ = advance(state, event(sequence, source=name), 0.0)
    assert len(encode(state, 0)) <= MAX_STATE


@given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from("ab")), max_size=30), st.integers(0, 2**40))
def test_states_go_through_bytes(arrivals: list[tuple[int, str]], offset: int) -> None:
    state, _ = run([event(sequence, source=source) for sequence, source in arrivals], now=5.5)
    value = encode(state, offset)
    assert decode(value) == state
    assert peek(value) == (offset, waiting_since(state))


def test_a_state_of_a_newer_version_is_refused() -> None:
    with pytest.raises(ValueError, match="a state of version 3; this program knows version 2"):
        decode(b"\x03" + encode(State(), 0)[1:])


def test_an_id_whose_check_would_be_zero_is_remembered_all_the_same() -> None:
    """Zeros say that a sequence never came; `lkibailn` has the CRC 0."""
    state, _ = run([event(1, id="lkibailn")])
    assert run([event(1, id="lkibailn")], state)[1] == [Duplicate()]


def test_a_mark_between_two_others_is_no_duplicate() -> None:
    """Eight bytes that end one mark and begin the next are not one of them."""
    state, _ = run([event(id="a")])
    shifted = msgspec.structs.replace(state, seen=b"xxx" + state.seen + b"xxxxx")
    after, decisions = advance(shifted, event(id="a"), 0.0)
    assert len(accepted(decisions)) == 1
    assert advance(after, event(id="a"), 0.0)[1] == [Duplicate()]


# -- quiet users -------------------------------------------------------------------------------------------------------


@given(disturbed(), st.lists(st.text(min_size=1, max_size=3), max_size=8))
def test_forgetting_keeps_all_that_numbers_the_next_events(case: tuple[list[Event], list[Event]], ids_: list[str]) -> None:
    stream, arrivals = case
    before, _ = run(arrivals + [event(id=id) for id in ids_])
    after = forget(before)
    assert (after.position, after.duplicates) == (before.position, before.duplicates), "the account stays"
    assert {name: source.due for name, source in after.sources.items()} == {n: s.due for n, s in before.sources.items()}
    assert len(encode(after, 0)) < len(encode(before, 0)), "it is smaller"
    for source in {one.source for one in stream}:
        due = before.sources[source].due
        _, decisions = run([event(due, source=source)], after)
        assert [(one.position, one.verdict) for one in accepted(decisions)] == [(before.position + 1, "logged")]
        _, decisions = run([event(due - 1, source=source)], after)
        assert [one.reason for one in decisions if isinstance(one, Refused)] == ["too-old"], "not dropped: it may be another"


def test_a_forgotten_user_has_the_whole_window_again_later() -> None:
    state = forget(run([event(n) for n in range(1, 10)])[0])
    state, _ = run([event(10), event(11)], state)
    assert advance(state, event(10), 0.0)[1] == [Duplicate()]
    _, decisions = advance(state, event(9), 0.0)
    assert decisions == [Refused("too-old", "sequence 9 is older than the last 2 that are remembered; 12 is due")]


def test_a_state_in_which_an_event_waits_can_not_be_forgotten() -> None:
    state, _ = run([event(1), event(3)])
    assert not is_quiet(encode(state, 0, 0.0), 10.0**9)
    with pytest.raises(AssertionError, match="what waits would be lost"):
        forget(state)


@pytest.mark.parametrize(("touched", "before", "quiet"), [(10.0, 10.0, True), (10.0, 9.9, False), (-3.0, 0.0, True)])
def test_nobody_is_quiet_before_the_time(touched: float, before: float, quiet: bool) -> None:
    assert is_quiet(encode(State(), 0, touched), before) is quiet


def test_who_was_forgotten_is_not_forgotten_again() -> None:
    assert not is_quiet(encode(State(), 0, math.inf), 10.0**12)

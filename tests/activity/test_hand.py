"""A state in hand becomes what `advance` makes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity import order
from activity.events import Event
from activity.hand import COMPILED, QUICKEST, Hand, core_of, hand_for
from activity.order import Accepted, State, advance
from tests.activity.cores import CORES


def event(source: str, number: int | None, id: str = "") -> Event:
    return Event(id or f"{source}-{number}", source, "u", number, b"%d" % (number or 0))


EVENTS = st.builds(event, st.sampled_from("ab"), st.none() | st.integers(1, 6), st.sampled_from(["", "other"]))


@pytest.mark.parametrize("core", CORES)
@given(events=st.lists(EVENTS, max_size=30))
def test_it_becomes_what_advance_makes_of_it(core: type[Hand], events: list[Event]) -> None:
    state, hand = State(), core(State(), -1)
    for one in events:
        before = state
        state, decisions = advance(before, one, 1.0)
        if position := hand.in_turn(one):
            assert decisions == [Accepted(position, "logged", 1.0, one.raw)]
        else:
            assert hand.state == before
            hand.put(state)
    assert hand.state == state
    assert hand.encoded() is None, "no record was decided by it"
    hand.touch(7, 1.5)
    assert hand.encoded() == order.encode(state, 7, 1.5)


def test_the_setting_says_which_is_used() -> None:
    assert (hand_for("python"), core_of(Hand)) == (Hand, "python")
    assert hand_for("auto") is QUICKEST is (COMPILED or Hand)
    assert core_of(QUICKEST) == ("python" if COMPILED is None else "compiled")


@pytest.mark.parametrize("core", CORES)
def test_what_comes_in_turn_needs_no_advance(core: type[Hand]) -> None:
    first, _ = advance(State(), event("a", 1), 0.0)
    hand = core(first, 0)
    assert [hand.in_turn(event("a", number)) for number in (2, 3, 3, 5, 4)] == [2, 3, 0, 0, 4]


@pytest.mark.parametrize("core", CORES)
def test_many_in_turn_are_remembered_as_far_as_the_window_goes(core: type[Hand]) -> None:
    state, hand = advance(State(), event("a", 1), 0.0)[0], core(advance(State(), event("a", 1), 0.0)[0], 0)
    for number in range(2, order.WINDOW + 50):
        state, _ = advance(state, event("a", number), 0.0)
        assert hand.in_turn(event("a", number)) == number
    assert hand.state == state

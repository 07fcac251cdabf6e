"""Lag, rates and the time to catch up."""

from math import inf

from hypothesis import assume, given
from hypothesis import strategies as st

from activity.pace import Look, Pace, next_offset, pace, together

OFFSETS = st.integers(0, 10**9)


@st.composite
def looks(draw: st.DrawFn) -> Look:
    begin = draw(OFFSETS)
    end = begin + draw(OFFSETS)
    return Look(draw(st.floats(0, 1e9)), draw(st.none() | st.integers(0, end)), begin, end)


def test_the_figures_of_two_looks() -> None:
    assert pace(Look(10, 100, 0, 1000), Look(12, 300, 0, 1100)) == Pace(800, 0, 100.0, 50.0, 16.0)


def test_who_is_as_slow_as_what_comes_never_catches_up() -> None:
    assert pace(Look(0, 100, 0, 1000), Look(1, 200, 0, 1100)).catch_up == inf
    assert pace(Look(0, None, 0, 5), Look(1, None, 0, 5)).catch_up == inf


def test_who_has_read_all_has_caught_up_whatever_the_rates() -> None:
    assert pace(Look(0, 100, 0, 100), Look(1, 200, 0, 200)) == Pace(0, 0, 100.0, 100.0, 0.0)


def test_what_is_on_its_way_is_no_backlog() -> None:
    """Else every reader of a steady flow would look, half of the time, as if it never caught up."""
    assert pace(Look(0, 100, 0, 150), Look(1, 150, 0, 200)) == Pace(50, 0, 50.0, 50.0, 0.0)
    assert pace(Look(0, 100, 0, 151), Look(1, 150, 0, 201)).catch_up == inf


def test_a_position_that_was_set_back_is_no_speed() -> None:
    assert pace(Look(0, 900, 0, 1000), Look(1, 0, 0, 1000)) == Pace(1000, 0, 0.0, 0.0, inf)


def test_what_was_deleted_unread_is_told_and_is_no_lag() -> None:
    assert pace(Look(0, 10, 100, 150), Look(1, 10, 100, 150)) == Pace(50, 90, 0.0, 0.0, inf)
    assert pace(Look(0, None, 100, 150), Look(1, None, 100, 150)).expired == 0, "it never began: nothing was promised to it"


def test_without_time_between_the_looks_there_is_no_rate() -> None:
    look = Look(5, 10, 0, 20)
    assert pace(look, look) == Pace(10, 0, 0.0, 0.0, inf)


@given(looks(), looks())
def test_no_figure_is_negative_whatever_happened_between(before: Look, after: Look) -> None:
    found = pace(before, after)
    assert min(found.lag, found.expired, found.rate, found.arrival, found.catch_up) >= 0
    assert after.begin <= next_offset(after) <= after.end
    assert found.lag == after.end - next_offset(after)


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(0, 10**5), st.integers(0, 10**5))
def test_at_these_rates_it_is_done_when_it_says(position: int, lag: int, read: int, came: int) -> None:
    end = position + lag
    assume(read <= lag)
    found = pace(Look(0, position, 0, end), Look(1, position + read, 0, end + came))
    if found.lag <= read:
        assert found.catch_up == 0.0
    elif found.catch_up == inf:
        assert came >= read
    else:
        left = found.lag + (found.arrival - found.rate) * found.catch_up
        assert abs(left) < 1e-3


def test_together_they_are_done_when_the_last_one_is() -> None:
    one, other = Pace(10, 0, 5.0, 0.0, 2.0), Pace(30, 4, 1.0, 0.5, 60.0)
    assert together([one, other]) == Pace(40, 4, 6.0, 0.5, 60.0)
    assert together([]) == Pace(0, 0, 0.0, 0.0, 0.0)

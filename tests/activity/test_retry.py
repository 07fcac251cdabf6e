"""Backoff: grows, stays within its bounds, and is waited for in a queue that is not too short."""

from hypothesis import given
from hypothesis import strategies as st

from activity import names
from activity.retry import TIERS, backoff, tier, tier_within

_BASES = st.floats(0.1, 4096)
_JITTER = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, 10_000), _BASES, st.floats(1, 86400), _JITTER)
def test_a_wait_is_within_its_bounds(attempt: int, base: float, cap: float, jitter: float) -> None:
    wait = backoff(attempt, base, cap, jitter)
    assert 0 <= wait <= cap
    assert wait <= base * 2.0 ** min(attempt - 1, 60)


@given(st.integers(1, 10_000), _BASES, st.floats(1, 86400), st.floats(0.01, 1))
def test_the_ceiling_never_falls(attempt: int, base: float, cap: float, jitter: float) -> None:
    assert backoff(attempt, base, cap, jitter) <= backoff(attempt + 1, base, cap, jitter)


def test_the_ceiling_doubles_up_to_the_cap() -> None:
    assert [backoff(attempt, 1.0, 20.0, 1.0) for attempt in range(1, 8)] == [1, 2, 4, 8, 16, 20, 20]
    assert backoff(3, 1.0, 20.0, 0.25) == 1.0, "full jitter: any part of the ceiling"
    assert backoff(3, 1.0, 20.0, 0.0) == 0.0


@given(st.floats(0, TIERS[-1]))
def test_the_delay_is_not_shorter_than_the_wait_nor_twice_as_long(seconds: float) -> None:
    delay = tier(seconds)
    assert delay in TIERS
    assert seconds <= delay
    assert delay == 1 or delay < 2 * seconds


def test_a_wait_that_is_a_delay_is_that_one() -> None:
    assert [tier(delay) for delay in TIERS] == list(TIERS)


def test_the_longest_delay_is_the_longest_there_is() -> None:
    assert tier(TIERS[-1] + 1) == TIERS[-1] == 4096


def test_each_delay_has_a_queue_of_its_own() -> None:
    assert names.delay_queue(TIERS[0]) == "chopar.retry.1s"
    assert len({names.delay_queue(delay) for delay in TIERS}) == 13


@given(st.floats(-10, 10_000))
def test_a_delay_within_a_wait_is_the_longest_that_is_not_longer(seconds: float) -> None:
    delay = tier_within(seconds)
    assert delay <= max(seconds, TIERS[0])
    assert not any(delay < other <= seconds for other in TIERS)

"""Half as many at a complaint, one more after a calm."""

from hypothesis import given
from hypothesis import strategies as st

from activity.throttle import SETTLE, Throttle


def test_halves_at_a_complaint_and_takes_those_right_after_it_as_the_same_one() -> None:
    throttle = Throttle()
    assert [throttle.cut(100.0, 5), throttle.cut(100.1, 5), throttle.cut(100.2, 5)] == [True] * 3
    assert throttle.most == 2
    assert throttle.cut(100.0 + SETTLE, 5)
    assert throttle.most == 1


def test_says_that_it_can_be_no_less_than_one() -> None:
    throttle = Throttle()
    assert not throttle.cut(0.0, 1)
    assert throttle.most is None
    assert throttle.cut(10.0, 2)
    assert not throttle.cut(20.0, 2)
    assert throttle.most == 1


def test_grows_by_one_after_each_calm_and_forgets_the_limit_when_it_is_none() -> None:
    throttle = Throttle(calm=30.0)
    assert throttle.grow(0.0, 4) is None
    throttle.cut(0.0, 4)
    assert throttle.grow(29.0, 4) == 1.0
    assert throttle.most == 2
    assert throttle.grow(30.0, 4) == 30.0
    assert throttle.most == 3
    assert throttle.grow(59.0, 4) == 1.0
    assert throttle.grow(60.0, 4) is None
    assert throttle.most is None


def test_a_smaller_pool_needs_no_limit_above_its_size() -> None:
    throttle = Throttle()
    throttle.cut(0.0, 8)
    assert throttle.grow(1.0, 4) is None


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=50), st.integers(1, 64))
def test_never_less_than_one_nor_more_than_there_are(steps: list[tuple[float, bool]], size: int) -> None:
    throttle, now = Throttle(), 0.0
    for seconds, complains in steps:
        now += seconds
        if complains:
            throttle.cut(now, size)
        else:
            throttle.grow(now, size)
        assert throttle.most is None or 1 <= throttle.most < max(size, 2)

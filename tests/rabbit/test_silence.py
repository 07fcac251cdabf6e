"""When a consumer is doubted: only where messages lie ready at two looks, with room for them and none between."""

import pytest

from rabbit.silence import Silence

BOTH = ("a", "b")


def looks(silence: Silence, *ready: int, full: tuple[str, ...] = ()) -> list[list[str]]:
    """What comes of looks one after the other at queue a, which has so many ready; b has none."""
    return [silence.looked({name: count * (name == "a") for name in silence.worth_a_look(BOTH, full)}) for count in ready]


@pytest.mark.parametrize(
    ("ready", "doubted"), [((0, 0), []), ((1, 0), []), ((0, 1), []), ((1, 0, 1), []), ((3, 1), ["a"]), ((0, 1, 9), ["a"])]
)
def test_it_takes_two_looks(ready: tuple[int, ...], doubted: list[str]) -> None:
    assert looks(Silence(), *ready)[-1] == doubted


def test_what_was_heard_from_is_not_looked_at_and_begins_anew() -> None:
    silence = Silence()
    assert looks(silence, 5) == [[]]
    silence.heard("a")
    assert silence.worth_a_look(BOTH, ()) == ["b"]
    assert looks(silence, 5, 5) == [[], ["a"]]


def test_one_in_full_hand_is_not_doubted() -> None:
    assert looks(Silence(), 5, 5, 5, full=("a",)) == [[], [], []]


def test_after_a_doubt_it_takes_two_looks_again() -> None:
    assert looks(Silence(), 5, 5, 5, 5) == [[], ["a"], [], ["a"]]

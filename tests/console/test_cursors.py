"""Cursors come back as they went, and nothing else passes for one."""

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.cursors import read_cursor, write_cursor
from console.problems import Problem


@given(st.tuples(st.integers(0, 1023), st.binary(max_size=512)))
def test_a_cursor_is_what_it_was_made_of(place: tuple[int, bytes]) -> None:
    text = write_cursor(place)
    assert text.replace("-", "").replace("_", "").isalnum()
    assert read_cursor(text, tuple[int, bytes]) == place


@given(st.text(max_size=100))
def test_any_text_is_read_or_named_as_wrong(text: str) -> None:
    try:
        read_cursor(text, tuple[int, bytes], "after")
    except Problem as problem:
        told = problem.status, problem.field
    else:
        told = 400, "after"
    assert told == (400, "after")


@pytest.mark.parametrize("place", ["text", (1, 2), (1,), None, [[[]]] * 10])
def test_a_cursor_of_another_list_is_wrong(place: object) -> None:
    with pytest.raises(Problem):
        read_cursor(write_cursor(place), tuple[int, bytes])


def test_deep_nonsense_is_wrong_too() -> None:
    deep = base64.urlsafe_b64encode(b"\x91" * 3000).decode()
    with pytest.raises(Problem):
        read_cursor(deep, msgspec.Raw)  # read as far as it is asked for
    with pytest.raises(Problem):
        read_cursor(deep, list)

"""Splitting input into records."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopar.records import LONGEST, Array, Lines, Record, Splitter

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
INDENTS = st.sampled_from([None, 1])


def split(splitter: Lines | Array | Splitter, content: bytes, size: int) -> list[Record]:
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    return [record for piece in pieces for record in splitter.feed(piece)] + splitter.end()


@given(st.lists(VALUES), st.integers(1, 50), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_lines_come_out_as_they_went_in_whatever_the_pieces(values: list[Any], size: int, ended: bool, end: str) -> None:
    content = end.join(json.dumps({"v": value}) for value in values) + (end if ended else "")
    records = split(Splitter(), content.encode(), size)
    assert [json.loads(record.value)["v"] for record in records] == values
    assert [record.number for record in records] == list(range(1, len(values) + 1))


@given(st.lists(VALUES), st.integers(1, 50), INDENTS, st.booleans())
def test_an_array_gives_its_elements_whatever_the_pieces(
    values: list[Any], size: int, indent: int | None, ascii_only: bool
) -> None:
    content = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "replace")
    if not ascii_only and b"?" in content:
        return  # a lone surrogate, which no file in UTF-8 can hold
    records = split(Splitter(), b"\n " + content + b"\n", size)
    assert [json.loads(record.value) for record in records] == values
    assert not any(record.problem for record in records)


@pytest.mark.parametrize(
    ("content", "whole"),
    [(b'[{"a":1}', 1), (b'[{"a":1} {"b":2}]', 1), (b"[1, nonsense]", 1), (b"[1] 2", 1), (b"[", 0), (b"[1,]", 1)],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_a_broken_array_is_told_after_what_could_be_read(content: bytes, whole: int, size: int) -> None:
    records = split(Splitter(), content, size)
    assert [bool(record.problem) for record in records] == [False] * whole + [True]


def test_blank_lines_count_but_are_no_records() -> None:
    assert [record.number for record in split(Splitter(), b"\n{}\n  \n{}", 3)] == [2, 4]


def test_a_line_that_is_too_long_is_refused_and_the_next_one_is_read() -> None:
    records = split(Lines(), b"x" * (LONGEST + 1) + b"\n{}\n", 65536)
    assert [(record.number, bool(record.problem), record.value) for record in records] == [(1, True, b""), (2, False, b"{}")]


def test_what_is_kept_of_an_endless_line_is_bounded() -> None:
    lines = Lines()
    for _ in range(100):
        lines.feed(b"x" * 65536)
    assert len(lines._rest) <= LONGEST

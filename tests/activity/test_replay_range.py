"""From where to where history is read again, and what is done with the jobs it makes."""

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity.jobs import JobState
from activity.replay import Known, Moment, Offset, Point, Span, fate, move, only_partition, parse_point, span

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("0", Offset(0)),
        ("1200", Offset(1200)),
        ("3:1200", Offset(1200, 3)),
        ("2h", Moment(NOW - 7200)),
        ("90 s", Moment(NOW - 90)),
        ("1.5d", Moment(NOW - 129_600)),
        ("99999999d", Moment(0)),
        ("1912-06-23T00:00:00Z", Moment(0)),
        ("2027-01-15T08:00:00Z", Moment(NOW)),
        ("2027-01-15T13:00:00.5+05:00", Moment(NOW + 0.5)),
    ],
)
def test_a_point_is_a_time_or_an_offset(text: str, point: Point) -> None:
    assert parse_point(text, NOW) == point


@pytest.mark.parametrize(
    "text", ["", "yesterday", "-5", "3:", "3:x", "2027-01-15", "2027-13-15T08:00:00Z", "1:2:3", "1.5", '"', "9" * 30]
)
def test_anything_else_says_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time like 2026-01-31T09:30:00Z, how long ago like 2h, an offset"):
        parse_point(text, NOW)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("needs its zone, like 2027-01-15T08:00:00Z or")):
        parse_point("2027-01-15T08:00:00", NOW)


def test_points_and_user_may_name_one_partition() -> None:
    assert only_partition(Moment(0), None, user=None) is None
    assert only_partition(Offset(5), Offset(9, 2), user=None) == 2
    assert only_partition(Offset(5, 2), Offset(9, 2), user=2) == 2
    with pytest.raises(ValueError, match=r"partitions 1 and 2 can't both be meant$"):
        only_partition(Offset(5, 1), Offset(9, 2), user=None)
    with pytest.raises(ValueError, match="partitions 1 and 4 can't both be meant; the user is on 4"):
        only_partition(Offset(5, 1), None, user=4)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 120), st.none() | st.integers(0, 120))
def test_a_span_is_what_is_there_of_what_was_asked_for(begin: int, size: int, since: int, until: int | None) -> None:
    end = begin + size
    found = span(1, begin, end, since, until)
    wanted = set(range(since, end if until is None else until))
    assert set(range(found.start, found.stop)) == wanted & set(range(begin, end))
    assert len(found) == found.stop - found.start >= 0
    assert found.missing == len([offset for offset in wanted if offset < begin])


def test_a_span_of_a_partition_whose_reader_has_not_come_as_far_as_it_begins() -> None:
    assert len(span(0, 100, 40, 0, None)) == 0
    assert span(0, 10, 20, 0, None) == Span(0, 10, 20, missing=10)


@pytest.mark.parametrize("state", get_args(JobState))
@pytest.mark.parametrize("attempt", [0, 1, 7])
@pytest.mark.parametrize("store_lost", [True, False])
@pytest.mark.parametrize("send_unknown", [True, False])
def test_a_job_that_the_ledger_knows_is_never_published_unless_a_replay_held_it_and_a_person_wants_it(
    state: JobState, attempt: int, store_lost: bool, send_unknown: bool
) -> None:
    wanted = "publish" if (state, attempt, send_unknown) == ("unknown", 0, True) else "known"
    assert fate(Known(state, attempt), store_lost=store_lost, send_unknown=send_unknown) == wanted


def test_a_job_that_the_ledger_does_not_know_is_held_only_where_the_store_has_lost_something() -> None:
    assert fate(None, store_lost=False, send_unknown=False) == "publish"
    assert fate(None, store_lost=True, send_unknown=False) == "hold"
    assert fate(None, store_lost=True, send_unknown=True) == "publish"


@given(st.integers(0, 50), st.integers(0, 50), st.none() | st.integers(0, 120), st.integers(0, 120))
def test_a_move_reads_again_or_skips_what_lies_between(begin: int, size: int, position: int | None, since: int) -> None:
    end = begin + size
    found = move(3, begin, end, position, since)
    unread_before = set(range(max(begin, position or 0), end))
    unread_after = set(range(max(begin, since), end))
    assert begin <= found.target <= end
    assert found.skipped == len(unread_before - unread_after)
    assert found.again == len(unread_after - unread_before)

"""When a rule's job is due."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity.events import rfc3339
from activity.timing import AT_ONCE, Expression, Timing, moment, read_timing

RECEIVED = "2026-01-31T09:30:00.125Z"


def compiled(text: str) -> Expression:
    """A language of expressions for tests: a text, or `{{ a key of the event }}`."""
    if text.count("{{") != text.count("}}"):
        raise ValueError("unexpected end of template")

    def evaluate(seen: Mapping[str, Any]) -> str:
        if "{{" not in text:
            return text
        name = text.strip("{} ")
        if name not in seen:
            raise ValueError(f"{name} is missing")
        return str(seen[name])

    return evaluate


def due(seen: Mapping[str, Any], received: str = RECEIVED, **keys: str) -> datetime | None:
    return read_timing(keys, compiled).due(received, seen)


def test_without_a_word_it_is_due_at_once() -> None:
    assert read_timing({"name": "x"}, compiled) is AT_ONCE
    assert due({}) is None
    assert due({}, delay="0s") is None


def test_a_delay_counts_from_when_the_event_reached_kafka() -> None:
    assert due({}, delay="2h") == datetime(2026, 1, 31, 11, 30, 0, 125_000, UTC)
    assert due({}, delay="90") == datetime(2026, 1, 31, 9, 31, 30, 125_000, UTC)


@pytest.mark.parametrize("text", ["2026-02-01T10:00:00+05:00", "2026-02-01T05:00:00Z", " 2026-02-01t05:00:00z\n"])
def test_the_event_says_when(text: str) -> None:
    assert due({"at": text}, send_at="{{ at }}") == datetime(2026, 2, 1, 5, tzinfo=UTC)
    assert due({}, send_at=text) == datetime(2026, 2, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "value", ["", "tomorrow", "2026-02-01", "2026-02-01T05:00:00", 1769851800, None, "9999-12-31T23:59:59-01:00", "\ud800"]
)
def test_what_names_no_time_is_refused_by_key(value: object) -> None:
    with pytest.raises(ValueError, match=r"^send_at: .* is no time; RFC 3339 with its zone was expected"):
        due({"at": value}, send_at="{{ at }}")


def test_an_event_without_the_time_is_refused() -> None:
    with pytest.raises(ValueError, match="at is missing"):
        due({}, send_at="{{ at }}")
    with pytest.raises(ValueError, match="received: 'x' is no time"):
        due({}, received="x", delay="1s")
    with pytest.raises(ValueError, match="delay: the year would be after 9999"):
        due({}, received="9999-12-31T23:59:59Z", delay="1d")


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"delay": "soon"}, "delay: expected a duration like 500ms, 5s, 10m or 1h"),
        ({"delay": "-1s"}, "delay: expected a duration"),
        ({"delay": "3651d"}, "delay: at most 3650d was expected"),
        ({"delay": 5}, "delay: a text was expected"),
        ({"delay": ""}, "delay: a text was expected"),
        ({"send_at": ""}, "send_at: a text was expected"),
        ({"send_at": datetime(2026, 1, 1, tzinfo=UTC)}, "send_at: a text was expected"),
        ({"send_at": "tomorrow"}, "send_at: 'tomorrow' is no time"),
        ({"send_at": "{{ at"}, "send_at: unexpected end of template"),
        ({"delay": "1s", "send_at": "{{ at }}"}, "delay: send_at is there too; a rule has one of them"),
    ],
)
def test_a_wrong_key_is_refused_by_name(keys: Mapping[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{problem}"):
        read_timing(keys, compiled)


@given(st.datetimes(datetime(1970, 1, 2), datetime(9998, 1, 1)), st.integers(-1439, 1439))  # noqa: DTZ001 - the zone is added
def test_a_time_is_the_same_in_every_zone(naive: datetime, minutes: int) -> None:
    local = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert moment(local.isoformat()) == local


@given(seconds=st.floats(0, 4e9), delay=st.integers(0, 10**8))
def test_the_same_event_is_due_at_the_same_time(seconds: float, delay: int) -> None:
    received, timing = rfc3339(seconds), Timing(delay=float(delay))
    assert timing.due(received, {}) == timing.due(received, {"data": 1})

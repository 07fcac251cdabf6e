"""Jobs: ids that recognise a repeat, and nothing else; bytes that name what is wrong with them."""

import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity.events import rfc3339
from activity.jobs import NAMESPACE, VERSION, Job, decode_job, encode_job, job_id

JOB = Job(
    id="1", rule="welcome", job_class="bulk", user="u-1", to="a@b.example", template="welcome", event={"data": {"b": 1, "a": 2}}
)

_PART = st.text(alphabet="01:ab é", max_size=6)
_PARTS = st.tuples(_PART, _PART, _PART, _PART)


@given(_PARTS, _PARTS)
def test_different_events_or_rules_have_different_ids(one: tuple[str, str, str, str], other: tuple[str, str, str, str]) -> None:
    assert (job_id(*one) == job_id(*other)) == (one == other)


@given(_PART, _PART, st.integers(0, 6))
def test_no_part_of_an_id_imitates_the_next(one: str, other: str, place: int) -> None:
    together = one + other
    split = (together[:place], together[place:])
    for before in range(3):
        parts = ["x"] * 4
        parts[before : before + 2] = one, other
        moved = ["x"] * 4
        moved[before : before + 2] = split
        assert (job_id(*parts) == job_id(*moved)) == (parts == moved)
    assert job_id("1:1", "", "", "") != job_id("", "1:1", "", "")


def test_an_id_never_changes() -> None:
    """It stands in ledgers: another one would send again."""
    assert job_id("u-1", "/web", "e-1", "welcome") == str(uuid.uuid5(NAMESPACE, "3:u-14:/web3:e-17:welcome"))
    assert job_id("u-1", "/web", "e-1", "welcome") == "3f124988-fa62-58ea-a1f4-b86019d1e593"


def test_a_job_goes_through_bytes() -> None:
    raw = encode_job(JOB)
    assert decode_job(raw) == JOB
    assert encode_job(decode_job(raw)) == raw
    assert JOB.key == "email.bulk.welcome"
    assert msgspec.json.decode(raw)["class"] == "bulk"
    assert raw.index(b'"a":2') < raw.index(b'"b":1'), "keys are sorted"


def test_a_job_may_have_a_time() -> None:
    at = datetime(2026, 1, 31, 9, 30, 0, 125_000, UTC)
    later = msgspec.structs.replace(JOB, send_at=at)
    assert (later.due, JOB.due) == (at.timestamp(), None)
    assert decode_job(encode_job(later)) == later
    assert decode_job(changed(send_at="gone")).send_at is None, "a job of an older version"


@pytest.mark.parametrize(("text", "year"), [("9999-12-31T23:59:59-05:00", 9999), ("0001-01-01T00:00:00+05:00", 1970)])
def test_a_time_at_the_end_of_time_can_be_shown(text: str, year: int) -> None:
    due = decode_job(changed(send_at=text)).due
    assert due is not None
    assert rfc3339(due).startswith(str(year))


def changed(**changes: Any) -> bytes:
    job = msgspec.json.decode(encode_job(JOB)) | changes
    return msgspec.json.encode({name: value for name, value in job.items() if value != "gone"})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"id": "gone"}, "`id`"),
        ({"rule": "gone"}, "`rule`"),
        ({"class": "gone"}, "`class`"),
        ({"to": 1}, r"\$\.to"),
        ({"id": "x" * 201}, r"length <= 200 - at `\$\.id`"),
        ({"rule": "é" * 123}, r"255 bytes - at `\$\.rule`"),
        ({"class": "urgent"}, r"\$\.class"),
        ({"event": []}, r"\$\.event"),
        ({"attempts": 1}, "`attempts`"),
        ({"send_at": "soon"}, r"\$\.send_at"),
        ({"send_at": "2026-01-31T09:30:00"}, r"\$\.send_at"),
        ({"version": VERSION + 1}, r"Expected version 1, got 2 - at `\$\.version`"),
    ],
)
def test_a_wrong_job_names_its_field(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=named):
        decode_job(changed(**changes))


def test_names_as_long_as_stores_and_brokers_take_them() -> None:
    longest = msgspec.structs.replace(JOB, id="\U0001f600" * 200, rule="é" * 122)
    assert decode_job(encode_job(longest)) == longest
    assert len(longest.key.encode()) == 255


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"id":"\xff"}', b'{"event":{"a":' + b"[" * 5000, b"null"])
def test_what_is_no_job_raises_one_kind_of_error(raw: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_job(raw)

"""Whatever the size of what came, what is sent for it fits into a record: nothing may stop a worker for ever."""

from itertools import chain
from typing import Final

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import example, given, settings
from hypothesis import strategies as st

from activity import names
from activity.events import Refused
from activity.sequencing import LARGEST_SENT, dead_letter, sequence
from streams.topics import LARGEST_RECORD
from tests.activity.examples import Record, chunk, value
from tests.activity.partitions import Table, owner

EVENT: Final = value(subject="elsewhere")
LENGTHS = st.sampled_from([0, 1, 60_000, 70_000, 500_000, 1_040_000, 1_050_000, 3_000_000])


@st.composite
def headers(draw: st.DrawFn) -> list[tuple[str, bytes | None]]:
    name, held, count = draw(LENGTHS), draw(st.none() | LENGTHS), draw(st.integers(0, 3))
    return [("n" * name, None if held is None else b"h" * held)] * count


@given(
    key=st.sampled_from([None, b"", b"u-1", b"elsewhere", b"k" * 70_000, b"k" * 3_000_000]),
    raw=st.sampled_from([EVENT, b"", None, b"x" * 60_000, b"x" * 3_000_000]),
    headers=st.lists(headers(), max_size=3).map(lambda lists: list(chain(*lists))),
)
@example(key=b"u-1", raw=b"junk", headers=[("h", b"")] * 800_000).via("their lengths count too")
@example(key=None, raw=EVENT, headers=[("trace", b"x" * 3_000_000)])
@settings(max_examples=40)
def test_what_is_sent_on_fits_into_a_record(
    key: bytes | None, raw: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    step = sequence(chunk(Record(key, raw, headers=headers)), Table(), owner)
    pairs = step.dead + [pair for moved in step.moved.values() for pair in moved]
    [sent] = pairs
    assert DefaultRecordBatchBuilder.estimate_size_in_bytes(*sent) < LARGEST_RECORD - 1000
    given_headers = [header for header in headers if header in sent[2]]
    whole = (sent[0] in (key, b"elsewhere"), sent[1], given_headers) == (True, raw, headers)
    assert whole or (names.CUT_HEADER in dict(sent[2]) and int(dict(sent[2])[names.CUT_HEADER] or 0) > LARGEST_SENT)


def test_what_is_too_large_to_be_moved_says_so_and_keeps_its_event_and_the_headers_that_fit() -> None:
    trace, small = ("trace", b"x" * 3_000_000), ("tenant", b"a")
    step = sequence(chunk(Record(None, EVENT, headers=[trace, small])), Table(), owner)
    [(key, raw, headers)] = step.dead
    assert (key, raw, step.moved, step.counts) == (None, EVENT, {}, {"dead": 1})
    assert headers[0] == small
    told = dict(headers)
    assert "trace" not in told
    assert (told["chopar-reason"], told["chopar-cut"]) == (b"too-big", b"3000123")
    assert "with its headers" in (told["__streams.errors.message"] or b"").decode()


def test_a_problem_that_names_what_a_stranger_wrote_is_cut() -> None:
    name = "ce_" + "n" * 3_000_000
    step = sequence(chunk(Record(b"u-1", b"", headers=[("ce_specversion", b"1.0"), (name, b"\xff")])), Table(), owner)
    [sent] = step.dead
    assert DefaultRecordBatchBuilder.estimate_size_in_bytes(*sent) < 10_000


@pytest.mark.parametrize("topic", [names.EVENTS, names.LOG])
def test_a_dead_letter_says_where_it_stands_whole(topic: str) -> None:
    record = Record(b"u-1", None, 7, headers=[("a", b"x" * LARGEST_SENT)])
    key, raw, headers = dead_letter(chunk(record, topic=topic, partition=3), record, Refused("null-value", "why"))
    assert (key, raw) == (b"u-1", None)
    assert [held for name, held in headers if name.startswith(names.ERROR_HEADER)][2:] == [topic.encode(), b"3", b"7"]

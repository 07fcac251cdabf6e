"""A chunk: its records until it is done."""

import pytest

from activity.chunk import Chunk
from tests.activity.examples import Record


def test_a_chunk_lets_its_records_go_when_it_is_done() -> None:
    records = [Record(b"u-1", b"secret", 7), Record(b"u-2", b"secret", 8)]
    chunk = Chunk("activity.events", 3, records)
    assert (list(chunk), len(chunk)) == (records, 2)
    assert (chunk.started, chunk.finished, chunk.lost) == (False, False, False)
    assert repr(chunk) == "<Chunk activity.events/3: 2 records>", "no keys, no values: it stands in logs"
    chunk.done()
    assert (chunk.started, chunk.finished, chunk.lost) == (False, True, False)
    assert list(chunk) == []


def test_it_takes_in_what_follows_as_long_as_it_waits() -> None:
    chunk = Chunk("activity.events", 3, [Record(b"u-1", b"1")])
    assert chunk.joined([Record(b"u-2", b"2"), Record(None, None)], 3, 100)
    assert [record.key for record in chunk] == [b"u-1", b"u-2", None]
    assert not chunk.joined([Record(b"u-3", b"3")], 3, 100), "as many records as it may have"
    chunk.started = True
    assert not chunk.joined([], 9, 100)
    chunk.started, chunk.lost = False, True
    assert not chunk.joined([], 9, 100)


@pytest.mark.parametrize(
    "big", [Record(b"k" * 40, None), Record(None, b"v" * 40), Record(None, None, headers=[("h" * 20, b"x" * 20)])]
)
def test_it_never_grows_above_so_many_bytes(big: Record) -> None:
    chunk = Chunk("activity.events", 3, [big])
    assert [chunk.joined([big], 99, 120) for _ in range(4)] == [True, True, False, False]
    assert len(chunk) == 3
    assert chunk.joined([Record(b"", b"")], 99, 120), "what is small still fits"
    assert not Chunk("activity.events", 3, [big]).joined([big], 99, 79)

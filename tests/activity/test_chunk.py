"""A chunk: its records until it is done."""

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

"""The archiver as a step."""

import logging

import pytest

from activity.errors import Unreachable
from activity.events import log_value
from agents import patience
from agents.archiver import archiver
from tests.activity.examples import Record, chunk, value
from tests.agents.fakes import Diary, FakeOutputs, FakeStore, WatchedChunk


def logged(position: int = 1) -> Record:
    return Record(b"u-1", log_value(value(sequence="7", data={"a": 1}), position, "logged", 1.5))


async def test_a_chunk_is_one_transaction_and_then_done() -> None:
    diary = Diary()
    store, outputs = FakeStore(diary), FakeOutputs(diary)
    await archiver(WatchedChunk(chunk(logged(1), logged(2), topic="activity.log"), diary), store=store, outputs=outputs)
    assert diary == ["appended", "done"]
    first = store.entries[0]
    assert (first.user_id, first.position, first.source, first.event_id) == ("u-1", 1, "/web", "e-1")
    assert (first.type, first.sequence, first.verdict, first.received) == (
        "page.viewed",
        "7",
        "logged",
        "1970-01-01T00:00:01.500Z",
    )
    assert (first.kafka_partition, first.kafka_offset, store.entries[1].kafka_offset) == (0, 0, 1)


async def test_a_foreign_record_goes_to_the_dead_and_holds_nobody_up() -> None:
    diary = Diary()
    store, outputs = FakeStore(diary), FakeOutputs(diary)
    records = (Record(b"k", b"junk"), logged(), Record(b"k", None))
    await archiver(WatchedChunk(chunk(*records, topic="activity.log"), diary), store=store, outputs=outputs)
    assert diary == ["delivered", "appended", "done"]
    reasons = [dict(headers)["chopar-reason"] for _, _, headers in outputs.steps[0].dead]
    assert reasons == [b"bad-log-record", b"null-value"]
    assert [key for key, _, _ in outputs.steps[0].dead] == [b"k", b"k"]


async def test_an_outage_of_the_store_is_waited_out(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.01)
    diary = Diary()
    away = Unreachable("CHOPAR_STORE_URL", "postgresql://…", "refused", "start it")
    store = FakeStore(diary, [away, away])
    with caplog.at_level(logging.WARNING):
        await archiver(WatchedChunk(chunk(logged(), topic="activity.log"), diary), store=store, outputs=FakeOutputs(diary))
    assert diary == ["appended", "done"]
    assert len(caplog.records) == 2


async def test_what_contradicts_the_log_goes_to_the_dead() -> None:
    diary = Diary()
    store, outputs = FakeStore(diary), FakeOutputs(diary)
    store.refuses = {2}
    await archiver(WatchedChunk(chunk(logged(1), logged(2), topic="activity.log"), diary), store=store, outputs=outputs)
    assert diary == ["appended", "delivered", "done"]
    [(_, value, headers)] = outputs.steps[0].dead
    assert value == logged(2).value
    assert dict(headers)["chopar-reason"] == b"log-conflict"
    assert dict(headers)["__streams.errors.offset"] == b"1"

"""What `chopar replay` tells people and programs of what it found and did."""

import asyncio
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from activity.chunk import Chunk
from activity.replay import Move
from agents.replay import Survey
from chopar import passes, reset
from chopar.cli import cli
from chopar.passes import Result
from tests.activity.examples import Record
from tests.agents.test_replay import World, chunk, record, rules


def looked_at(*chunks: Chunk, missing: int = 0, limit: int = 10) -> Result:
    """What is found where the store has one event, and another one at position 2."""

    async def look() -> Survey:
        world = World()
        await world.archived(record(1), record(2, id="other"))
        return await world.survey(rules(welcome="user.*"), *chunks, limit=limit)

    return Result(asyncio.run(look()), missing)


HISTORY = chunk(record(1), record(2), record(3), record(4, nothing=1), Record(b"k", b"junk"))


def told(monkeypatch: pytest.MonkeyPatch, result: Result, *arguments: str) -> Any:
    async def run(wish: object, *, dry: bool) -> Result:
        return result

    monkeypatch.setattr(passes, "run", run)
    return CliRunner().invoke(cli, ["replay", "--from", "0", *arguments])


def test_people_are_told_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    text = told(monkeypatch, looked_at(HISTORY, missing=7), "--dry-run").stdout
    lines = [
        "What would change",
        "read again: 5 records",
        "rows: 2 would be restored",
        "jobs: 0 would be published",
        "jobs that may have been sent: 3 would be noted as unknown, since the store has lost rows; --send-unknown publishes them",
        "contradicting the store: 1; another event stands at the position; `chopar log USER` shows it",
        "jobs that a rule could not make: 1; their events lack something",
        "no records of the log: 1; they are on activity.dead",
        "no longer on Kafka: 7; raise the topic's retention.ms to keep more",
    ]
    assert [line for line in lines if line not in text.replace(" \n", "\n")] == []
    assert all(
        what in text for what in ("row is missing", "job may have been sent", "contradicts the store", "no record of the log")
    )


def test_what_was_not_wished_for_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    result = looked_at(HISTORY)
    assert "row is missing" not in (text := told(monkeypatch, result, "--only", "mail").stdout)
    assert "restored" not in text
    assert "published" not in told(monkeypatch, result, "--only", "store").stdout.replace("publishes", "")


def test_programs_get_one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    result = looked_at(HISTORY)
    result.restored, result.held = 2, 3
    found = told(monkeypatch, result, "--json")
    document = msgspec.json.decode(found.stdout)
    assert document["rows"] == {"missing": 2, "conflicts": 1}
    assert document["jobs"] == {"welcome": {"known": 0, "publish": 0, "hold": 3}}
    assert document["done"] == {"restored": 2, "published": 0, "held": 3}
    assert {change["what"] for change in document["changes"]} == {"restore", "hold", "conflict", "refused", "unreadable"}
    assert "ann@shop.example" not in found.stdout


def test_what_contradicts_the_store_is_exit_code_1_unless_it_was_only_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    result = looked_at(HISTORY)
    assert told(monkeypatch, result).exit_code == 1
    assert told(monkeypatch, result, "--dry-run").exit_code == 0
    assert told(monkeypatch, looked_at(chunk(record(1)))).exit_code == 0


def test_an_empty_range_says_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    text = told(monkeypatch, looked_at()).stdout
    assert "nothing in this range that the worker has read; `chopar lag` shows how far it is" in text


@pytest.mark.parametrize(("dry", "would"), [(True, "would be"), (False, "will be")])
def test_moved_offsets_say_what_is_read_again_and_what_never(dry: bool, would: str, capsys: pytest.CaptureFixture[str]) -> None:
    moves = [Move(0, 1500, 300), Move(1, 20, 20), Move(2, 10, 40)]
    reset.show("chopar", moves, dry=dry, as_json=False)
    shown = capsys.readouterr()
    assert shown.err == f"1,200 records {would} read again, 30 never\n"
    assert "Group chopar of activity.events" in shown.out
    reset.show("chopar", moves, dry=dry, as_json=True)
    document = msgspec.json.decode(capsys.readouterr().out)
    assert document["moves"][0] == {"partition": 0, "from": 1500, "to": 300}
    assert (document["group"], document["topic"], document["dry_run"]) == ("chopar", "activity.events", dry)

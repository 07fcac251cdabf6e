"""Inserts on one trip: all or nothing, and whatever is out of the usual is left to another way."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from activity.errors import Unreachable
from store.address import parse_address
from store.connection import Database
from store.express import Express
from store.log import Appended
from store.opening import open_store
from tests.store.orders import entry

INSERT = "INSERT INTO it (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "it.db") as connection:
        connection.execute("CREATE TABLE it (key INTEGER PRIMARY KEY, value TEXT CHECK (value <> 'bad'))")
    connection.close()
    return tmp_path / "it.db"


@pytest.fixture
async def express(file: Path) -> AsyncIterator[Express]:
    express = Express(lambda: sqlite3.connect(file, timeout=0.01, isolation_level=None, check_same_thread=False))
    yield express
    await express.close()


def rows(file: Path) -> list[Any]:
    connection = sqlite3.connect(file)
    try:
        return connection.execute("SELECT key, value FROM it ORDER BY key").fetchall()
    finally:
        connection.close()


async def test_what_was_inserted_is_there_for_others(express: Express, file: Path) -> None:
    assert await express.insert(INSERT, [(1, "a"), (2, "b")])
    assert rows(file) == [(1, "a"), (2, "b")]


@pytest.mark.parametrize("other", [(1, "there already"), (3, "bad"), (2**63, "too large"), (3, "\ud800")])
async def test_if_one_can_not_be_inserted_none_is(express: Express, file: Path, other: tuple[int, str]) -> None:
    assert await express.insert(INSERT, [(1, "a")])
    assert not await express.insert(INSERT, [(2, "b"), other])
    assert rows(file) == [(1, "a")]
    assert await express.insert(INSERT, [(2, "b")]), "it goes on after that"


async def test_while_another_one_writes_it_does_not_wait_for_long(express: Express, file: Path) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert not await express.insert(INSERT, [(1, "a")])
    other.execute("ROLLBACK")
    other.close()
    assert await express.insert(INSERT, [(1, "a")])


async def test_a_file_that_can_not_be_opened_is_left_to_who_can_say_why(tmp_path: Path) -> None:
    database = Database(parse_address(f"sqlite:///{tmp_path}/none/it.db"))
    assert database.express is not None
    assert not await database.express.insert(INSERT, [(1, "a")])
    with pytest.raises(Unreachable):
        async with database.writing():
            pass
    await database.close()


async def test_the_log_goes_that_way_and_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    insert = Express.insert

    async def noted(self: Express, statement: str, rows: Any) -> bool:
        asked.append(await insert(self, statement, rows))
        return asked[-1]

    monkeypatch.setattr(Express, "insert", noted)
    async with open_store(f"sqlite:///{tmp_path}/it.db") as store:
        assert await store.log.append([entry(1), entry(2)]) == Appended(2)
        assert await store.log.append([entry(2), entry(3)]) == Appended(1), "a repeat is there already"
        assert asked == [True, False]
        express = store._database.express
        assert express is not None
        assert express._connection is not None
        assert express._connection.execute("PRAGMA synchronous").fetchone() == (2,), "FULL: a commit survives a power cut"

"""Opening the store: what it is then, and what is said when it can't be opened."""

import asyncio
import os
import socket
import sqlite3
import sys
import tempfile
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, column, create_engine, event, table, text, update

import store.opening
from activity.errors import Mismatch, SettingError, Unreachable
from store.address import parse_address
from store.connection import Database
from store.lock import exclusive
from store.migrating import LOCK, VERSION_TABLE
from store.opening import open_store
from store.schema import metadata
from tests.store import server
from tests.store.orders import entry


async def test_migrated_tables_are_those_of_the_schema(url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "compare_server_default": True, "include_name": lambda name, *_: name != VERSION_TABLE},
        )
        return list(compare_metadata(context, metadata))

    async with open_store(url):
        pass
    database = Database(parse_address(url))
    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []
    await database.close()


async def test_checks_of_migrated_tables_are_those_of_the_schema(sqlite_url: str, tmp_path: Path) -> None:
    """Alembic does not compare CHECK constraints; SQLite keeps their words."""

    def checks(path: Path) -> set[str]:
        connection = sqlite3.connect(path)
        texts = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
        connection.close()
        return {line.strip(" ,") for sql in texts for line in sql.splitlines() if "CHECK" in line}

    async with open_store(sqlite_url):
        pass
    engine = create_engine(f"sqlite:///{tmp_path / 'schema.db'}")
    metadata.create_all(engine)
    engine.dispose()
    assert checks(tmp_path / "chopar.db") == checks(tmp_path / "schema.db")
    assert len(checks(tmp_path / "schema.db")) == 7


async def test_opens_again_with_what_is_in_it(url: str) -> None:
    for opening in range(1, 4):
        async with open_store(url) as opened:
            await opened.log.append([entry(opening)])
            assert await opened.log.count() == opening


async def test_refuses_tables_of_a_newer_version(url: str) -> None:
    async with open_store(url):
        pass
    database = Database(parse_address(url))
    async with database.writing() as connection:
        await connection.execute(update(table(VERSION_TABLE, column("version_num"))).values(version_num="9999"))
    await database.close()
    with pytest.raises(Mismatch, match=r"newer version \(9999\).*CHOPAR_STORE_URL"):
        async with open_store(url):
            pass


async def test_refuses_tables_of_another_program(url: str) -> None:
    database = Database(parse_address(url))
    async with database.writing() as connection:
        await connection.execute(text("CREATE TABLE job (x INTEGER)"))
    await database.close()
    with pytest.raises(Mismatch, match=r"'job' of another program.*CHOPAR_STORE_URL"):
        async with open_store(url):
            pass


async def test_sqlite_is_set_for_many_processes_and_power_cuts(sqlite_url: str) -> None:
    async with open_store(sqlite_url):
        pass
    database = Database(parse_address(sqlite_url))
    async with database.writing() as connection:
        found = {
            name: await connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    await database.close()
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 500}


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("sqlite://", "a file was expected"),
        ("sqlite:///:memory:", "a file was expected"),
        ("sqlite://chopar.db", "a file was expected"),
        ("mysql://u:sesame@h/d", "expected sqlite"),
        ("nonsense sesame", "expected sqlite"),
        ("postgresql://u:sesame@h", "expected sqlite"),
        ("postgresql://u:sesame@h/d?password=sesame", "no parameter 'password'"),
    ],
)
async def test_a_url_that_names_no_store(url: str, problem: str) -> None:
    with pytest.raises(SettingError, match=f"CHOPAR_STORE_URL: .*{problem}") as raised:
        async with open_store(url):
            pass
    assert "sesame" not in str(raised.value)


def test_sslmode_is_what_the_driver_calls_ssl() -> None:
    address = parse_address("postgresql://u:sesame@[::1]:5433/d?sslmode=require")
    assert address.url.query == {"ssl": "require"}
    assert address.shown == "postgresql://[::1]:5433/d"


async def refused(url: str) -> str:
    with pytest.raises(Unreachable) as raised:
        async with open_store(url):
            pass
    said = str(raised.value)
    assert said.startswith("CHOPAR_STORE_URL: no answer from ")
    assert "\n" not in said
    assert server.PASSWORD not in said
    assert server.QUOTED not in said
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    return said


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path / 'made' / 'chopar.db'}"):
        pass
    assert "is its folder there" in await refused(f"sqlite:///{tmp_path / 'not' / 'made' / 'chopar.db'}")


async def test_a_path_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("Dear Sir or Madam, " * 100)
    assert "not a database" in await refused(f"sqlite:///{tmp_path / 'letter'}")
    (tmp_path / "folder").mkdir()
    assert "unable to open" in await refused(f"sqlite:///{tmp_path / 'folder'}")


async def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path / 'chopar.db'}"):
        pass  # all is imported now, which somebody else may not be allowed to
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)  # noqa: S103  (nobody has to get in, to be refused)
        us = os.geteuid()
        if us == 0:  # root may write everywhere
            os.seteuid(65534)
        try:
            assert "may this user write" in await refused(f"sqlite:///{folder}/chopar.db")
        finally:
            os.seteuid(us)


async def test_nobody_listens() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        said = await refused(f"postgresql://u:{server.QUOTED}@127.0.0.1:{port}/d")
    assert f"postgresql://127.0.0.1:{port}/d" in said
    assert "is the server running there" in said


async def test_somebody_else_listens() -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        await refused(f"postgresql://u:{server.QUOTED}@127.0.0.1:{port}/d")


async def test_a_wrong_password(postgres_url: str) -> None:
    url = parse_address(postgres_url).url.set(drivername="postgresql", password="sesame:@/%!").render_as_string(False)
    said = await refused(url)
    assert "password authentication failed" in said
    assert "check user and password" in said


async def test_a_database_that_is_not_there(postgres_url: str) -> None:
    said = await refused(f"{postgres_url}_not")
    assert "does not exist" in said
    assert "create the database" in said


async def test_waits_for_another_process_that_prepares_it_but_not_for_ever(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.opening, "PREPARE_TIMEOUT", 0.1)
    async with exclusive(tmp_path / "chopar.db.lock", 1.0):
        assert "another process has been preparing it" in await refused(sqlite_url)
    async with open_store(sqlite_url):
        pass


async def test_import_loads_no_driver() -> None:
    """Nothing connects at import; the driver for Postgres is loaded only where an URL asks for it."""
    code = "import sys, store.opening, store.interfaces; sys.exit(bool({'asyncpg', 'aiosqlite'} & sys.modules.keys()))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0


def test_the_begin_of_a_write_takes_the_writers_place(sqlite_url: str) -> None:
    begins = []

    async def run() -> None:
        database = Database(parse_address(sqlite_url))
        event.listen(
            database.engine.sync_engine,
            "before_cursor_execute",
            lambda _c, _cursor, statement, *_: begins.append(statement),
        )
        async with database.reading():
            pass
        async with database.writing():
            pass
        await database.close()

    asyncio.run(run())
    assert [statement for statement in begins if statement.startswith("BEGIN")] == ["BEGIN", "BEGIN IMMEDIATE"]


async def test_postgres_lets_one_process_prepare_it_at_a_time(postgres_url: str) -> None:
    database = Database(parse_address(postgres_url))
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")

    async def opened() -> None:
        async with open_store(postgres_url):
            pass

    async with database.writing() as holder, asyncio.TaskGroup() as group:
        await holder.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        task = group.create_task(opened())
        async with asyncio.timeout(60):
            while not await holder.scalar(waiting):
                assert not task.done(), "it did not wait"
                await asyncio.sleep(0.01)
        await holder.commit()
    await database.close()

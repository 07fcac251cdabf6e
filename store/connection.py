"""How the store is connected to, and its kinds of transaction."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from store.address import Address
from store.failure import translated
from store.statements import Bound, Direct, Statements
from store.writer import Writer

T = TypeVar("T")

BUSY_TIMEOUT: Final = 30.0
"""Seconds that a SQLite transaction waits for the writer before it."""
TURN: Final = 0.5
"""Seconds after which it asks for the writer's place again: who is cancelled meanwhile waits no longer than that."""
CONNECT_TIMEOUT: Final = 10.0
COMMAND_TIMEOUT: Final = 60.0
"""Seconds after which a Postgres that took a statement and fell silent counts as away."""


class Ending(sqlite3.Connection):
    """A connection whose transaction ends when it is closed. Of itself it would end only once nobody has a cursor of it any more:
    whoever is cancelled in the middle of a statement leaves one behind, and nobody else could write for as long."""

    def close(self) -> None:
        """Rolls back and closes."""
        if self.in_transaction:
            self.rollback()
        super().close()


class Database:
    """The engine and its address. Nothing connects before the first transaction.

    All transactions commit when their block ends and roll back when it raises. An answer of the store that it is away
    is raised as Unreachable; whether the transaction was committed is then unknown, so it must be safe to repeat.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.engine = create_engine(address)
        self._writing = self.engine.execution_options(writes=True)
        self._writer = None if address.file is None else Writer(address.file, _connected, BUSY_TIMEOUT)

    @property
    def is_postgres(self) -> bool:
        """Whether several can write at a time, so that rows have to be locked."""
        return self.address.file is None

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write. On SQLite it is the only one of its kind from its first statement on."""
        with translated(self.address):
            async with self._writing.begin() as connection:
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads. It waits for nobody."""
        with translated(self.address):
            async with self.engine.begin() as connection:
                yield connection

    async def write(self, work: Callable[[Statements], T]) -> T:
        """A transaction that may write and is one plain function, for what is done often; gives what `work` returns."""
        with translated(self.address):
            if self._writer is not None:
                return await self._writer.write(lambda connection: work(Direct(connection)))
            async with self._writing.begin() as connection:
                return await connection.run_sync(lambda bound: work(Bound(bound)))

    async def close(self) -> None:
        """Closes all connections. The next transaction opens new ones."""
        if self._writer is not None:
            await self._writer.close()
        await self.engine.dispose()


def create_engine(address: Address) -> AsyncEngine:
    """An engine for `address`, with the settings that the store's promises stand on."""
    if address.file is None:
        arguments = {"timeout": CONNECT_TIMEOUT, "command_timeout": COMMAND_TIMEOUT}
        return create_async_engine(address.url, connect_args=arguments, hide_parameters=True)
    opened: dict[str, Any] = {"timeout": min(TURN, BUSY_TIMEOUT), "factory": Ending}
    engine = create_async_engine(address.url, connect_args=opened, hide_parameters=True)
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _connected(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, BUSY_TIMEOUT, isolation_level=None, check_same_thread=False, factory=Ending)
    _prepare(connection, None)
    connection.execute("PRAGMA busy_timeout = 0")  # the writer waits in a way of its own
    return connection


def _prepare(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin in `_begin`, not where the driver thinks they should
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    # A Kafka offset is committed, a message is acknowledged because the store has the work: a commit must survive a
    # power cut. In WAL mode only FULL waits for the disk at each commit; the default of some builds does not.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A transaction that begins to read and wants to write later fails with SQLITE_BUSY at once if another one wrote in
    # between. IMMEDIATE takes the writer's place first, and waits for it.
    if not connection.get_execution_options().get("writes", False):
        connection.exec_driver_sql("BEGIN")
        return
    deadline = monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except DBAPIError as error:
            code = getattr(error.orig, "sqlite_errorcode", 0)
            if code & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > deadline:
                raise
        else:
            return


def set_journal(file: str) -> None:
    """Sets the mode in which readers and the writer don't wait for each other. It stays with the file.

    Raises sqlite3.Error. Call it with nobody else about to do the same: the switch can't wait for another connection.
    """
    connection = sqlite3.connect(file, timeout=BUSY_TIMEOUT)
    try:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
    finally:
        connection.close()

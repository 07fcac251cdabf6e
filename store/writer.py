"""SQLite's transactions that are one plain function: on a connection of their own, in a thread of its own, in one go.

Through SQLAlchemy's connections each statement is a way to a thread and back, and the event loop is asked between any two;
a transaction that many wait for takes longer on these ways than in SQLite.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep
from typing import Final, TypeVar

GLANCE: Final = 0.001
"""Seconds between two looks whether the transaction of another process has ended."""

T = TypeVar("T")


class Writer:
    """`connect` gives a connection in autocommit mode. Nothing connects before the first transaction.

    Another process's transaction is waited for up to `timeout` seconds.
    """

    def __init__(self, file: Path, connect: Callable[[Path], sqlite3.Connection], timeout: float) -> None:
        self._file, self._connect, self._timeout = file, connect, timeout
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns, once it is durable. Raises what it raises: then nothing of it was written.

        A caller that is cancelled does not know; what it began is ended before the next begins.
        """
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "store-writer")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, work)

    async def close(self) -> None:
        """Ends what is under way and closes the connection. The next transaction opens another."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._let_go)
            thread.shutdown(wait=False)

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = self._connect(self._file)
            self._begin(self._connection)
            done = work(self._connection)
            self._connection.execute("COMMIT")
        except BaseException:
            self._let_go()  # which rolls back, whatever state it is in
            raise
        return done

    def _begin(self, connection: sqlite3.Connection) -> None:
        """SQLite's own way to wait sleeps for up to 100 ms; two mailers take turns every few."""
        deadline = monotonic() + self._timeout
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > deadline:
                    raise
                sleep(GLANCE)
            else:
                return

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

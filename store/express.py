"""Rows into SQLite on one trip to a thread: begin, insert and commit together.

Through SQLAlchemy and aiosqlite they are seven trips, each a switch between threads: three times the CPU for a few rows.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class Express:
    """Takes the inserts that are as usual; what is not is left to who knows what to do about it. Has a connection of its own."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        """`connect` gives a connection without transactions of its own accord. Nothing connects before the first insert."""
        self._connect = connect
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None

    async def insert(self, statement: str, rows: Sequence[Sequence[Any]]) -> bool:
        """Whether each of `rows` was inserted and is durable. If not, nothing has changed, unless a commit failed half-way.

        Raises nothing that the database says: it will say it again to who asks in the usual way.
        """
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "store-express")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._insert, statement, rows)

    def _insert(self, statement: str, rows: Sequence[Sequence[Any]]) -> bool:
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.execute("BEGIN IMMEDIATE")
            if self._connection.executemany(statement, rows).rowcount == len(rows):
                self._connection.execute("COMMIT")
                return True
            self._connection.execute("ROLLBACK")
        except (sqlite3.Error, OverflowError, UnicodeError):
            self._hang_up()
        return False

    def _hang_up(self) -> None:
        """Closing rolls back what is open. The next insert connects anew, also to a file that took this one's place."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def close(self) -> None:
        """Ends the connection and the thread. Another insert begins anew."""
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._hang_up)
            self._thread.shutdown()
            self._thread = None

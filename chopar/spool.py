"""Putting many small rows in order without holding them in memory: a temporary SQLite database, gone when it is closed."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from activity.errors import ChoparError

CACHE_MB: Final = 32
Row = tuple[int, int, bytes]
"""What to order by, first and second, and what it is about."""


class Spool:
    """Rows, written in any order and read in that of their first two columns."""

    def __init__(self, database: sqlite3.Connection, name: str) -> None:
        self._database, self._name = database, name
        database.execute(f"CREATE TABLE {name} (major INTEGER, minor INTEGER, what BLOB)")

    def add(self, rows: Iterable[Row]) -> None:
        """Write them down."""
        self._database.executemany(f"INSERT INTO {self._name} VALUES (?, ?, ?)", rows)  # noqa: S608  (the name is ours)

    def __iter__(self) -> Iterator[Row]:
        cursor = self._database.execute(f"SELECT major, minor, what FROM {self._name} ORDER BY major, minor")  # noqa: S608
        while rows := cursor.fetchmany(1000):
            yield from rows

    def __len__(self) -> int:
        count: int = self._database.execute(f"SELECT count(*) FROM {self._name}").fetchone()[0]  # noqa: S608
        return count


@contextmanager
def spools(*names: str) -> Iterator[list[Spool]]:
    """One for each name. Raises ChoparError when the disk is full."""
    database = sqlite3.connect("", isolation_level=None)  # a file that SQLite removes at once, in TMPDIR
    try:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "temp_store = FILE", f"cache_size = -{CACHE_MB * 1024}"):
            database.execute(f"PRAGMA {pragma}")
        database.execute("BEGIN")  # else each row is a transaction
        yield [Spool(database, name) for name in names]
    except sqlite3.OperationalError as error:
        raise ChoparError(f"can't keep what is to be compared ({error}); make room where TMPDIR points to") from None
    finally:
        database.close()

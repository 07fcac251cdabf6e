"""How a transaction that is one plain function speaks to its database: through SQLAlchemy, or to SQLite's driver itself."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Executable
from sqlalchemy.dialects import sqlite

Values = Mapping[str, Any]


class Statements(Protocol):
    """A transaction under way."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""

    def rows(self, statement: Executable, values: Values) -> Iterable[Sequence[Any]]:
        """What a query finds."""

    def each(self, statement: Executable, values: Sequence[Values]) -> None:
        """Executes it for each of `values` (one at least), which have the same names in the same order."""


class Bound:
    """See `Statements`: by SQLAlchemy, on either database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.dialect: str = connection.dialect.name

    def rows(self, statement: Executable, values: Values) -> Iterable[Sequence[Any]]:
        """See `Statements.rows`."""
        return self._connection.execute(statement, values)

    def each(self, statement: Executable, values: Sequence[Values]) -> None:
        """See `Statements.each`."""
        self._connection.execute(statement, values)


class Direct:
    """See `Statements`: each is compiled once and its values go to the driver as they are; none may need a conversion.

    SQLAlchemy takes longer to look at a row's values than SQLite to write it.
    """

    dialect: Final = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, statement: Executable, values: Values) -> Iterable[Sequence[Any]]:
        """See `Statements.rows`."""
        text, names, fixed = _compiled(statement, tuple(values))
        return self._connection.execute(text, _ordered(names, {**fixed, **values})).fetchall()

    def each(self, statement: Executable, values: Sequence[Values]) -> None:
        """See `Statements.each`."""
        text, names, fixed = _compiled(statement, tuple(values[0]))
        given = [{**fixed, **row} for row in values] if fixed else values
        self._connection.executemany(text, [_ordered(names, row) for row in given])


def _ordered(names: Sequence[str], row: Values) -> tuple[Any, ...]:
    return tuple([row[name] for name in names])


@lru_cache(maxsize=64)
def _compiled(statement: Any, names: tuple[str, ...]) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    """The text, the names of its values in their order, and those values that are the same for all rows."""
    compiled = statement.compile(dialect=sqlite.dialect(), column_keys=names)
    order = tuple(compiled.positiontup)
    return compiled.string, order, {name: compiled.params[name] for name in order if name not in names}

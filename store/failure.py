"""Is the store away, or are we wrong? What a database's errors mean.

A store that is away raises Unreachable, which callers wait out: no file, no server, no space, no permission, a lost
connection, a lock that was not let go, a deadlock. Anything else (a missing table, a broken constraint, a wrong
statement) is a mistake in a program and is raised as it is.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from activity.errors import Unreachable
from store.address import SETTING, Address

_SQLITE: Final = {
    sqlite3.SQLITE_CANTOPEN: "is its folder there, and may this user write to it?",
    sqlite3.SQLITE_PERM: "let this user write to the file",
    sqlite3.SQLITE_READONLY: "let this user write to the file and its folder",
    sqlite3.SQLITE_FULL: "make room on the disk",
    sqlite3.SQLITE_IOERR: "look after the disk (is it full?)",
    sqlite3.SQLITE_BUSY: "another program holds the file for long; find it with `fuser`",
    sqlite3.SQLITE_LOCKED: "another program holds the file for long; find it with `fuser`",
    sqlite3.SQLITE_PROTOCOL: "is the file on a network drive? SQLite needs a local disk",
    sqlite3.SQLITE_NOTADB: "that file is something else; name another one",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; put a backup in its place",
}
_SQLSTATE: Final = {
    "08": "is the server running there?",
    "28": "check user and password",
    "3D": "create the database",
    "40": "two transactions were in each other's way; this goes by itself",
    "42501": "grant the user the right to create and use tables in the database",
    "53": "make room on the server's disk, or allow more connections",
    "55P03": "another program holds a lock for long",
    "25006": "the server only reads; name the primary",
    "57014": "it takes too long to answer: is it overloaded, or its statement_timeout too short?",
    "57P": "is the server starting or stopping?",
    "58": "look after the server's disk",
}
_SERVER: Final = "is the server running there, and are host and port right?"


class Away(Exception):
    """Raised by the store's own code for what keeps it from its database: the problem and the remedy."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


@contextmanager
def translated(address: Address) -> Iterator[None]:
    """Raises Unreachable, one line without the password, in place of an error that says the store is away."""
    try:
        yield
    except Exception as error:
        if isinstance(error, Unreachable) or (found := diagnose(error)) is None:
            raise
        problem, remedy = found
        remedy = remedy or (_SERVER if address.file is None else _SQLITE[sqlite3.SQLITE_CANTOPEN])
        raise Unreachable(SETTING, address.shown, problem, remedy) from None


def diagnose(error: BaseException) -> tuple[str, str] | None:
    """The problem and its remedy (empty: the usual one) if `error` says that the store is away, else None."""
    if isinstance(error, Away):
        return str(error), error.remedy
    if isinstance(error, PoolTimeout):
        return "all connections are in use", "it takes too long to answer, or too much is asked of it at once"
    for cause in _causes(error):
        if (code := getattr(cause, "sqlite_errorcode", None)) is not None:
            remedy = _SQLITE.get(code & 0xFF)
            return None if remedy is None else (_line(cause), remedy)
        if (state := getattr(cause, "sqlstate", None)) is not None:
            remedy = next((text for start, text in _SQLSTATE.items() if state.startswith(start)), None)
            return None if remedy is None else (_line(cause), remedy)
        if isinstance(cause, OSError):
            return _line(cause), ""
    if isinstance(error, DBAPIError) and (error.connection_invalidated or "connection is closed" in str(error)):
        return "the connection was lost", ""
    return None


def is_about_data(error: BaseException) -> bool:
    """Whether it says that a value can't be held: too big, or a character that the database doesn't know."""
    for cause in _causes(error):
        if isinstance(cause, UnicodeEncodeError | OverflowError | sqlite3.IntegrityError):
            return True
        if (state := getattr(cause, "sqlstate", None)) is not None:
            return state[:2] in ("22", "23", "54")  # data exception, integrity constraint, program limit
        if type(cause).__module__.startswith("asyncpg") and type(cause).__name__ == "DataError":
            return True  # refused by the driver already
    return False


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and what it was raised from; SQLAlchemy wraps the driver's errors, its adapters do so once more."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.orig if isinstance(found, DBAPIError) else found.__cause__


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}…"

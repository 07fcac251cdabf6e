"""CHOPAR_STORE_URL, read: which database it names, and how to name it in a log line."""

from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from activity.errors import SettingError

SETTING: Final = "CHOPAR_STORE_URL"

_EXPECTED: Final = "expected sqlite:///path/of/a/file or postgresql://user:password@host:port/database"


class Address(msgspec.Struct, frozen=True):
    """Where the store is. `shown` has neither password nor query, fit for any text. `file` is None on Postgres."""

    url: URL
    shown: str
    file: Path | None = None


def parse_address(text: str) -> Address:
    """The address that `text` names. Raises SettingError, which never has the password in it."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise SettingError(SETTING, _EXPECTED) from None
    if url.drivername == "sqlite":
        return _sqlite(url)
    if url.drivername == "postgresql":
        return _postgres(url)
    raise SettingError(SETTING, _EXPECTED)


def _sqlite(url: URL) -> Address:
    if url.host or not url.database or url.database == ":memory:" or url.database.startswith("file:") or url.query:
        # In memory each process, even each connection, would have a store of its own.
        raise SettingError(SETTING, "a file was expected: sqlite:///relative/path or sqlite:////absolute/path")
    return Address(url.set(drivername="sqlite+aiosqlite"), f"sqlite:///{url.database}", Path(url.database))


def _postgres(url: URL) -> Address:
    if not url.host or not url.database:
        raise SettingError(SETTING, _EXPECTED)
    query = dict(url.query)
    if "sslmode" in query:  # libpq's name; the driver's is another, with the same values
        query["ssl"] = query.pop("sslmode")
    if unknown := sorted(query.keys() - {"ssl"}):
        raise SettingError(SETTING, f"there is no parameter {unknown[0]!r}; there is: sslmode")
    host = f"[{url.host}]" if ":" in url.host else url.host
    port = f":{url.port}" if url.port else ""
    shown = f"postgresql://{host}{port}/{url.database}"
    return Address(url.set(drivername="postgresql+asyncpg", query=query), shown)

"""The activity log: what users did, in each user's order. See `store.interfaces.Log` for what it promises."""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ARRAY, bindparam, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from activity.events import Verdict, rfc3339
from store.change import plain
from store.connection import Database
from store.failure import is_about_data
from store.schema import activity


class Entry(msgspec.Struct, frozen=True):
    """One event of the log; `event` is the record of `activity.log` as it stands on Kafka, at `kafka_offset`.

    `repeats`: the position at which the same event stood before, if the sequencer had forgotten it when it came again.
    """

    user_id: str
    position: int
    source: str
    event_id: str
    type: str
    time: str | None
    received: str
    sequence: str | None
    verdict: Verdict
    event: bytes
    kafka_partition: int
    kafka_offset: int
    repeats: int | None = None


class Appended(msgspec.Struct, frozen=True):
    """`new` entries were written. `conflicts` were not and never can be: they contradict the log, or are no entries."""

    new: int
    conflicts: list[Entry] = []


class Difference(msgspec.Struct, frozen=True):
    """What `append` would do: `missing` entries would be written, `conflicts` would not."""

    missing: list[Entry]
    conflicts: list[Entry]


_COLUMNS: Final = Entry.__struct_fields__
_LONE: Final = re.compile("[\ud800-\udfff]")
_LAST: Final = 2**63 - 1
_LOOKUP: Final = 500
"""Entries looked up by one statement; each is two of its parameters."""

_INSERT_ROWS: Final = sqlite.insert(activity).on_conflict_do_nothing()
_INSERT_NEW: Final = sqlite.insert(activity)
# The driver for Postgres doesn't say how many of many rows it inserted. One statement over arrays does, and is faster.
_INSERT_ARRAYS: Final = (
    postgresql.insert(activity)
    .from_select(_COLUMNS, select(*(func.unnest(bindparam(name, type_=ARRAY(activity.c[name].type))) for name in _COLUMNS)))
    .on_conflict_do_nothing()
)


class ActivityLog:
    """The log in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, entries: Sequence[Entry]) -> Appended:
        """See `Log.append`. One transaction for all."""
        if not entries:
            return Appended(0)
        if not self._database.is_postgres and await self._append_new(entries):
            return Appended(len(entries))
        try:
            async with self._database.writing() as connection:
                return await self._append(connection, entries)
        except Exception as error:
            if not is_about_data(error):
                raise
        async with self._database.writing() as connection:
            return await self._append_singly(connection, entries)

    async def compare(self, entries: Sequence[Entry]) -> Difference:
        """See `Log.compare`."""
        possible = [entry for entry in entries if _is_possible(entry)]
        async with self._database.reading() as connection:
            standing = await _standing(connection, possible)
        found = Difference([], [])
        for entry in entries:
            there = standing.get(_place(entry))
            if there is None and _is_possible(entry):
                found.missing.append(entry)
            elif there != _event(entry):
                found.conflicts.append(entry)
        return found

    async def read(
        self,
        user: str,
        *,
        before: int | None = None,
        limit: int = 100,
        type: str | None = None,
        since: float | None = None,
        until: float | None = None,
        as_of: float | None = None,
    ) -> list[Entry]:
        """See `Log.read`."""
        table = activity.c
        query = select(activity).where(table.user_id == plain(user))
        if before is not None:
            query = query.where(table.position < before)
        if type is not None:
            query = query.where(table.type == plain(type))
        if since is not None:
            query = query.where(table.received >= rfc3339(since))
        if until is not None:
            query = query.where(table.received < rfc3339(until))
        if as_of is not None:
            later = select(func.min(table.position)).where(table.user_id == plain(user), table.received > rfc3339(as_of))
            query = query.where(table.position < func.coalesce(later.scalar_subquery(), _LAST))
        query = query.order_by(activity.c.position.desc()).limit(limit)
        async with self._database.reading() as connection:
            return [Entry(*row) for row in await connection.execute(query)]

    async def page(self, after: tuple[str, int] | None, limit: int) -> list[Entry]:
        """See `Log.page`."""
        query = select(activity).order_by(activity.c.user_id, activity.c.position).limit(limit)
        if after is not None:
            query = query.where(tuple_(activity.c.user_id, activity.c.position) > after)
        async with self._database.reading() as connection:
            return [Entry(*row) for row in await connection.execute(query)]

    async def position(self, user: str, source: str, event_id: str) -> int | None:
        """See `Log.position`."""
        async with self._database.reading() as connection:
            return await _first_position(connection, plain(user), plain(source), plain(event_id))

    async def count(self) -> int:
        """See `Log.count`."""
        async with self._database.reading() as connection:
            return await connection.scalar(select(func.count()).select_from(activity)) or 0

    async def _append_new(self, entries: Sequence[Entry]) -> bool:
        """Whether all were written in one go, which takes a third of the CPU. If one of them is in the way, none was."""
        rows = list(map(msgspec.structs.asdict, entries))
        try:
            await self._database.write(lambda to: to.each(_INSERT_NEW, rows))
        except Exception as error:
            if not is_about_data(error):
                raise
            return False
        return True

    async def _append(self, connection: AsyncConnection, entries: Sequence[Entry]) -> Appended:
        new = await self._insert(connection, entries)
        if new == len(entries):
            return Appended(new)
        conflicts = []
        for entry in await _not_standing(connection, entries):
            before = (
                None if entry.position < 1 else await _first_position(connection, entry.user_id, entry.source, entry.event_id)
            )
            if before is not None and await self._insert(connection, [msgspec.structs.replace(entry, repeats=before)]):
                new += 1
            else:
                conflicts.append(entry)
        return Appended(new, conflicts)

    async def _insert(self, connection: AsyncConnection, entries: Sequence[Entry]) -> int:
        """How many rows were written; those that are in the way of none."""
        if self._database.is_postgres:
            columns = zip(*map(msgspec.structs.astuple, entries), strict=True)
            arrays: dict[str, Any] = dict(zip(_COLUMNS, map(list, columns), strict=True))
            return (await connection.execute(_INSERT_ARRAYS, arrays)).rowcount
        return (await connection.execute(_INSERT_ROWS, list(map(msgspec.structs.asdict, entries)))).rowcount

    async def _append_singly(self, connection: AsyncConnection, entries: Sequence[Entry]) -> Appended:
        """Slow, for a batch in which there is an entry that the database refuses: finds it, and writes the others."""
        new, conflicts = 0, []
        for entry in entries:
            try:
                async with connection.begin_nested():
                    one = await self._append(connection, [entry])
            except Exception as error:
                if not is_about_data(error):
                    raise
                conflicts.append(entry)
            else:
                new += one.new
                conflicts += one.conflicts
        return Appended(new, conflicts)


async def _first_position(connection: AsyncConnection, user: str, source: str, event_id: str) -> int | None:
    """Where the event stands, if it does."""
    table = activity.c
    event = (table.user_id == user, table.source == source, table.event_id == event_id)
    return await connection.scalar(select(table.position).where(*event, table.repeats.is_(None)))


async def _not_standing(connection: AsyncConnection, entries: Sequence[Entry]) -> list[Entry]:
    """Those of `entries` that don't stand at their position."""
    standing = await _standing(connection, entries)
    return [entry for entry in entries if standing.get(_place(entry)) != _event(entry)]


async def _standing(connection: AsyncConnection, entries: Sequence[Entry]) -> dict[tuple[str, int], tuple[str, str]]:
    """Which events stand at the positions of `entries`."""
    table = activity.c
    standing: dict[tuple[str, int], tuple[str, str]] = {}
    for start in range(0, len(entries), _LOOKUP):
        places = [_place(entry) for entry in entries[start : start + _LOOKUP]]
        query = select(table.user_id, table.position, table.source, table.event_id)
        for user, position, source, event_id in await connection.execute(
            query.where(tuple_(table.user_id, table.position).in_(places))
        ):
            standing[user, position] = source, event_id
    return standing


def _place(entry: Entry) -> tuple[str, int]:
    return entry.user_id, entry.position


def _event(entry: Entry) -> tuple[str, str]:
    return entry.source, entry.event_id


def _is_possible(entry: Entry) -> bool:
    """Whether every database can hold it."""
    texts = (entry.user_id, entry.source, entry.event_id, entry.type, entry.time or "", entry.received, entry.sequence or "")
    return 0 < entry.position < 2**63 and "\0" not in "".join(texts) and not any(map(_LONE.search, texts))

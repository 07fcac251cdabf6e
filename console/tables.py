"""`/api/tables`: the table over all workers. Whoever is asked asks the owners, all at once, and says who did not answer."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from activity.events import rfc3339
from activity.inspection import StateView, view
from activity.order import peek
from console.cursors import read_cursor, write_cursor
from console.peers import Away, Peers
from console.problems import later, not_found
from console.routes import Call, Cursor, Endpoint, Limit, NoQuery
from tables.states import States


class Share(msgspec.Struct, frozen=True):
    """The partitions of one worker. `here`: it is this one."""

    worker: str
    partitions: tuple[int, ...]
    here: bool


class Membership(Protocol):
    """Who has which partition of a table, as this worker knows it."""

    def shares(self) -> Sequence[Share]:
        """One for each worker; each partition is in one. Raises Problem (503) while partitions move, or nobody knows."""

    def partition_of(self, user: bytes) -> int:
        """The partition that `user` belongs to."""

    def states(self, partition: int) -> States | None:
        """The states of a partition that is this worker's; None: it is not."""


class StateSummary(msgspec.Struct, frozen=True):
    """A user's state in short. `waiting_since`: when the event that has waited longest began to."""

    user: str
    partition: int
    waiting_since: str | None
    event_offset: int
    bytes: int


class WorkerAnswer(msgspec.Struct, frozen=True):
    """What a worker has, and why nothing of it is in the answer; null: it answered."""

    worker: str
    partitions: tuple[int, ...]
    problem: str | None = None


class TableInfo(msgspec.Struct, frozen=True):
    """A table and who has it."""

    name: str
    partitions: int
    workers: list[WorkerAnswer]


class TableList(msgspec.Struct, frozen=True):
    """All tables."""

    tables: list[TableInfo]


class TablePage(msgspec.Struct, frozen=True):
    """Users in the order of their bytes. `next` is the `cursor` of the next page. `workers` names those that are missing here."""

    table: str
    entries: list[StateSummary]
    next: str | None
    workers: list[WorkerAnswer]


class TableEntry(msgspec.Struct, frozen=True):
    """A user's state, and the worker that has it."""

    table: str
    worker: str
    state: StateView


class PageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`here`: only of the worker that is asked."""

    limit: Limit = 50
    cursor: Cursor | None = None
    here: bool = False


class EntryQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`here`: only if the worker that is asked has it."""

    here: bool = False


class Table:
    """One table over all workers."""

    def __init__(self, name: str, members: Membership, peers: Peers, gap_timeout: float) -> None:
        self._name, self._members, self._peers, self._gap_timeout = name, members, peers, gap_timeout

    def info(self) -> TableInfo:
        """Who has it. Raises Problem."""
        shares = self._members.shares()
        workers = [WorkerAnswer(share.worker, share.partitions) for share in shares]
        return TableInfo(self._name, sum(len(share.partitions) for share in shares), workers)

    async def state(self, user: str) -> StateView | None:
        """The user's state, whoever has it; None: there is none. Raises Problem if its owner can't tell it now."""
        entry = await self.entry(user, here=False)
        return None if entry is None else entry.state

    async def entry(self, user: str, *, here: bool) -> TableEntry | None:
        """As `state`, with its owner."""
        partition = self._members.partition_of(_key(user))
        share = next((one for one in self._members.shares() if partition in one.partitions), None)
        if share is None or (here and not share.here):
            raise later(f"partition {partition} is not here")
        if not share.here:
            try:
                return await self._peers.ask(share.worker, _path(self._name, user), {"here": "true"}, TableEntry)
            except Away as away:
                raise later(f"{share.worker} has partition {partition} and does not answer: {away}", 5) from None
        value = self._states(partition).get(_key(user))
        if value is None:
            return None
        return TableEntry(self._name, share.worker, view(user, partition, value, self._gap_timeout))

    async def page(self, limit: int, cursor: str | None, *, here: bool) -> TablePage:
        """Users behind `cursor`. Raises Problem while partitions move, here or at one of the owners."""
        after = b"" if cursor is None else read_cursor(cursor, bytes)
        shares = [share for share in self._members.shares() if share.here or not here]
        query = {"here": "true", "limit": str(limit), **({} if cursor is None else {"cursor": cursor})}
        answers = await asyncio.gather(*(self._part(share, limit, after, query) for share in shares), return_exceptions=True)
        entries: list[StateSummary] = []
        workers = []
        for share, answer in zip(shares, answers, strict=True):
            if isinstance(answer, Away):
                workers.append(WorkerAnswer(share.worker, share.partitions, str(answer)))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                entries += answer
                workers.append(WorkerAnswer(share.worker, share.partitions))
        entries.sort(key=lambda entry: entry.user.encode())
        del entries[limit:]
        following = write_cursor(entries[-1].user.encode()) if len(entries) == limit else None
        return TablePage(self._name, entries, following, workers)

    async def _part(self, share: Share, limit: int, after: bytes, query: Mapping[str, str]) -> list[StateSummary]:
        if not share.here:
            found = await self._peers.ask(share.worker, _path(self._name), query, TablePage)
            if found is None or [set(one.partitions) for one in found.workers] != [set(share.partitions)]:
                raise later(f"partitions are moving: {share.worker} has others than it had")
            return found.entries
        entries: list[StateSummary] = []
        for partition in share.partitions:
            entries += (_summary(partition, *found) for found in self._states(partition).page(after, limit))
            await asyncio.sleep(0)  # a look at many users; the stream goes on in between
        return entries

    def _states(self, partition: int) -> States:
        states = self._members.states(partition)
        if states is None:
            raise later(f"partitions are moving: {partition} has gone from here")
        return states


def table_routes(tables: Mapping[str, Table]) -> list[Endpoint]:
    """The endpoints over all tables."""

    def named(call: Call[Any, Any]) -> Table:
        if (table := tables.get(call.path["table"])) is None:
            raise not_found(f"there is no such table; there are: {', '.join(tables)}", "table")
        return table

    async def list_tables(call: Call[NoQuery, None]) -> TableList:
        return TableList([table.info() for table in tables.values()])

    async def list_entries(call: Call[PageQuery, None]) -> TablePage:
        return await named(call).page(call.query.limit, call.query.cursor, here=call.query.here)

    async def show_entry(call: Call[EntryQuery, None]) -> TableEntry:
        found = await named(call).entry(call.path["key"], here=call.query.here)
        if found is None:
            raise not_found("the table has no such key", "key")
        return found

    return [
        Endpoint("/api/tables", list_tables, "The tables, and who has which partition.", TableList, problems=(503,)),
        Endpoint("/api/tables/{table}", list_entries, "Who is in a table.", TablePage, query=PageQuery, problems=(404, 503)),
        Endpoint(
            "/api/tables/{table}/{key}", show_entry, "A user's state in words.", TableEntry, query=EntryQuery, problems=(404, 503)
        ),
    ]


def _key(user: str) -> bytes:
    return user.encode("utf-8", "surrogatepass")


def _path(*parts: str) -> Iterable[str]:
    return ("api", "tables", *parts)


def _summary(partition: int, user: bytes, value: bytes) -> StateSummary:
    offset, since = peek(value)
    return StateSummary(user.decode(errors="replace"), partition, None if since is None else rfc3339(since), offset, len(value))

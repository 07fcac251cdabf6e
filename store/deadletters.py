"""The dead letters of both brokers, and what people did with them. See `store.interfaces`: `Intake`, `LetterList`, `Desk`."""

import logging
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Select, case, func, insert, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from activity.dead import ActionRow, DeadLetter, LetterState, What, in_part
from activity.jobs import Job
from store.change import cut, plain
from store.connection import Database
from store.failure import is_about_data
from store.ledger import Ledger
from store.schema import dead_letter, desk_action
from store.statements import Bound

log = logging.getLogger(__name__)

MISSING: Final = "there is no such dead letter"


class LetterRow(DeadLetter, frozen=True, kw_only=True):
    """A dead letter as it stands. `edited` is sent in place of `payload`, which stays as it came. `changed`: Unix seconds."""

    state: LetterState = "open"
    edited: bytes | None = None
    changed: float = 0.0


class LetterHistory(msgspec.Struct, frozen=True):
    """A letter and what was done with it, oldest first."""

    letter: LetterRow
    actions: list[ActionRow]

    @property
    def newest(self) -> int:
        """The number of the newest action, 0: none; whoever acts on what was seen names it."""
        return self.actions[-1].number if self.actions else 0

    @property
    def closed(self) -> str | None:
        """Why nothing but undoing a discard can be done with it; None: it is open."""
        state = self.letter.state
        if state == "open":
            return None
        return f"it was {state} by {next((one.by for one in reversed(self.actions) if one.what == state), '')}"


class LetterSummary(msgspec.Struct, frozen=True):
    """A letter without what stands in it, which may be a MiB. `edited`: whether something else is sent in its place."""

    id: str
    state: LetterState
    reason: str
    problem: str
    origin: str
    user: str
    job: str
    edited: bool
    first_seen: float
    changed: float


class LetterGroup(msgspec.Struct, frozen=True):
    """The letters of one reason and origin: how many are in each state, when the first and the last one died."""

    reason: str
    origin: str
    open: int
    replayed: int
    discarded: int
    first: float
    last: float


class Wanted(msgspec.Struct, frozen=True):
    """Which letters: all that meet every condition. `text` stands in the payload, the edited one or the problem, as it is
    written there; `since` is Unix seconds."""

    state: LetterState | None = None
    reason: str | None = None
    origin: str | None = None
    user: str | None = None
    text: str | None = None
    since: float | None = None


class DeadLetters:
    """The tables `dead_letter` and `desk_action`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ledger = Ledger(database, "resend")  # the policy is for claims; nothing is claimed here

    # -- intake --------------------------------------------------------------------------------------------------------

    async def take(self, letters: Sequence[DeadLetter]) -> None:
        """See `Intake.take`."""
        try:
            await self._take(letters)
        except Exception as error:
            if not is_about_data(error):
                raise
            for letter in letters:
                await self._take_one(letter)

    async def _take_one(self, letter: DeadLetter) -> None:
        try:
            await self._take([letter])
        except Exception as error:
            if not is_about_data(error):
                raise
            log.error(
                "the store can hold a part only of dead letter %s, partition %s, offset %s of %s: %s",
                *(letter.id, letter.partition, letter.offset, letter.origin, type(error).__name__),
            )
            await self._take([in_part(letter)])

    async def _take(self, letters: Sequence[DeadLetter]) -> None:
        if letters:
            async with self._database.writing() as connection:
                await connection.execute(_TAKES[connection.dialect.name], [_values(letter) for letter in letters])

    # -- looking -------------------------------------------------------------------------------------------------------

    async def letter(self, id: str) -> LetterHistory | None:
        """See `LetterList.letter`."""
        columns = desk_action.c
        actions = select(columns.number, columns.at, columns.by, columns.what, columns.note).where(columns.letter_id == plain(id))
        async with self._database.reading() as connection:
            found = (await connection.execute(select(dead_letter).where(dead_letter.c.id == plain(id)))).one_or_none()
            if found is None:
                return None
            rows = await connection.execute(actions.order_by(columns.number))
            return LetterHistory(_row(found), [ActionRow(*row) for row in rows])

    async def letters(
        self, wanted: Wanted, *, limit: int = 100, after: str | None = None, oldest_first: bool = False
    ) -> list[LetterSummary]:
        """See `LetterList.letters`."""
        table = dead_letter.c
        place = tuple_(table.first_seen, table.id)
        query = self._where(select(*_SUMMARY), wanted)
        if after is not None:
            last = select(table.first_seen, table.id).where(table.id == plain(after)).scalar_subquery()
            query = query.where(place > last if oldest_first else place < last)
        order = (table.first_seen, table.id) if oldest_first else (table.first_seen.desc(), table.id.desc())
        async with self._database.reading() as connection:
            return [LetterSummary(*row) for row in await connection.execute(query.order_by(*order).limit(limit))]

    async def groups(self, wanted: Wanted) -> list[LetterGroup]:
        """See `LetterList.groups`."""
        table = dead_letter.c
        states = [func.sum(case((table.state == state, 1), else_=0)) for state in ("open", "replayed", "discarded")]
        query = select(table.reason, table.origin, *states, func.min(table.first_seen), func.max(table.first_seen))
        query = self._where(query, wanted).group_by(table.reason, table.origin).order_by(table.reason, table.origin)
        async with self._database.reading() as connection:
            return [LetterGroup(*row) for row in await connection.execute(query)]

    # -- acting --------------------------------------------------------------------------------------------------------

    async def edit(self, id: str, payload: bytes | None, by: str, note: str, now: float, seen: int | None = None) -> str | None:
        """See `Desk.edit`."""
        async with self._database.writing() as connection:
            return await _act(connection, id, "edited", by, note, now, seen=seen, edited=payload)

    async def discard(self, id: str, by: str, note: str, now: float) -> str | None:
        """See `Desk.discard`."""
        async with self._database.writing() as connection:
            return await _act(connection, id, "discarded", by, note, now, state="discarded")

    async def undo(self, id: str, by: str, note: str, now: float) -> str | None:
        """See `Desk.undo`."""
        async with self._database.writing() as connection:
            return await _act(connection, id, "reopened", by, note, now, only="discarded", state="open")

    async def replayed(self, id: str, by: str, note: str, now: float, seen: int | None = None) -> str | None:
        """See `Desk.replayed`."""
        async with self._database.writing() as connection:
            return await _act(connection, id, "replayed", by, note, now, seen=seen, state="replayed")

    async def replay_jobs(
        self,
        id: str,
        jobs: Sequence[Job],
        by: str,
        note: str,
        *,
        due: float,
        now: float,
        new: bool = False,
        seen: int | None = None,
    ) -> str | None:
        """See `Desk.replay_jobs`."""
        async with self._database.writing() as connection:
            if (problem := await _keeps(connection, id, "replayed", "open", seen)) is not None:
                return problem
            problem = await connection.run_sync(lambda bound: self._ledger.reopen(Bound(bound), jobs, due=due, now=now, new=new))
            return problem or await _act(connection, id, "replayed", by, note, now, state="replayed")

    def _where(self, query: Select[Any], wanted: Wanted) -> Select[Any]:
        for name in ("state", "reason", "origin"):
            if (value := getattr(wanted, name)) is not None:
                query = query.where(dead_letter.c[name] == cut(value))
        if wanted.user is not None:
            query = query.where(dead_letter.c.user_id == cut(wanted.user))
        if wanted.since is not None:
            query = query.where(dead_letter.c.first_seen >= wanted.since)
        if wanted.text:
            query = query.where(or_(*self._has(wanted.text)))
        return query

    def _has(self, text: str) -> list[ColumnElement[bool]]:
        """`text` in what can be searched. Bytes are searched as bytes: a payload may be of any kind."""
        table, raw = dead_letter.c, text.encode("utf-8", "replace")
        where, where_text = (func.pg_catalog.position, func.strpos) if self._database.is_postgres else (func.instr, func.instr)
        found = [where(column, raw) > 0 for column in (table.payload, table.edited)]
        return [*found, where_text(table.problem, plain(text)) > 0]  # LIKE ignores case on SQLite


async def _keeps(connection: AsyncConnection, id: str, what: What, only: LetterState, seen: int | None) -> str | None:
    """Why it can't be done with the letter; None: it can, and nobody else changes the letter until the transaction ends."""
    row = select(dead_letter.c.state).where(dead_letter.c.id == plain(id)).with_for_update()
    state = await connection.scalar(row)
    if state is None:
        return MISSING
    done = select(desk_action.c.number, desk_action.c.what, desk_action.c.by).where(desk_action.c.letter_id == plain(id))
    done = done.order_by(desk_action.c.number.desc()).limit(1)
    if state != only:
        who = (await connection.execute(done.where(desk_action.c.what == state))).first()
        return "it is not discarded" if what == "reopened" else f"it was {state} by {who.by if who else ''}"
    newest = None if seen is None else (await connection.execute(done)).first()
    return None if newest is None or newest.number == seen else f"it was {newest.what} by {newest.by} meanwhile: look again"


async def _act(
    connection: AsyncConnection,
    id: str,
    what: What,
    by: str,
    note: str,
    now: float,
    *,
    only: LetterState = "open",
    seen: int | None = None,
    **values: Any,
) -> str | None:
    """Does it and writes down who did; returns why it can't be done."""
    if (problem := await _keeps(connection, id, what, only, seen)) is not None:
        return problem
    change = update(dead_letter).where(dead_letter.c.id == plain(id))
    await connection.execute(change.values(**values, changed=now))
    before = select(func.count()).select_from(desk_action).where(desk_action.c.letter_id == plain(id))
    number = (await connection.scalar(before) or 0) + 1
    action = {"letter_id": plain(id), "number": number, "at": now, "by": plain(by), "what": what, "note": plain(note)}
    await connection.execute(insert(desk_action).values(action))
    return None


_SUMMARY: Final = [
    (dead_letter.c.edited.is_not(None) if name == "edited" else dead_letter.c["user_id" if name == "user" else name]).label(name)
    for name in LetterSummary.__struct_fields__
]
_encode: Final = msgspec.msgpack.Encoder().encode
_headers: Final = msgspec.msgpack.Decoder(list[tuple[str, bytes | None]])
_TAKES: Final = {
    "sqlite": sqlite.insert(dead_letter).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(dead_letter).on_conflict_do_nothing(),
}


def _values(letter: DeadLetter) -> dict[str, Any]:
    texts = {"message_id": letter.message_id, "job": letter.job, "reason": letter.reason, "user_id": letter.user}
    return {
        **{name: cut(text) for name, text in texts.items()},
        "id": letter.id,
        "broker": letter.broker,
        "origin": letter.origin,
        "partition": letter.partition,
        "offset": letter.offset,
        "attempt": letter.attempt,
        "problem": plain(letter.problem),
        "key": letter.key,
        "headers": _encode([(plain(name), value) for name, value in letter.headers]),
        "payload": letter.payload,
        "first_seen": letter.first_seen,
        "state": "open",
        "changed": letter.first_seen,
    }


def _row(row: Any) -> LetterRow:
    values = {"user" if name == "user_id" else name: value for name, value in row._mapping.items()}
    return LetterRow(**{**values, "headers": _headers.decode(row.headers)})

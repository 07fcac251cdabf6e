"""The send ledger: who may do which attempt at a job, and what came of it. See `store.interfaces.Claims`.

It decides nothing itself: it reads the records, asks `activity.claims`, and writes, all in one transaction in which the
jobs are nobody else's. On SQLite that is any writing transaction; on Postgres the rows are locked, always in the order
of their ids, so that two transactions never wait for each other.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ARRAY, ColumnElement, Text, and_, any_, bindparam, column, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from activity.claims import Answer, Claim, Go, JobRecord, Over, Policy, answer, may_settle, state_after
from activity.jobs import Job
from activity.outcomes import Outcome, Unknown
from store.connection import Database
from store.jobs import read_outcome
from store.schema import attempt as attempts
from store.schema import job as jobs

LEASE_OVER: Final = "its owner did not come back"
"""The reason of an outcome that nobody reported."""


class Settlement(msgspec.Struct, frozen=True):
    """What came of attempt number `attempt` of `job`, begun at `started` (Unix seconds) by `owner`."""

    job: Job
    attempt: int
    owner: str
    started: float
    outcome: Outcome


class _Row(msgspec.Struct, eq=False):
    """A job during a transaction."""

    job: Job
    record: JobRecord | None = None
    doubtful: int = 0
    reason: str = ""
    created: float | None = None


class Ledger:
    """The ledger in a database, under the policy that UNKNOWN_OUTCOME sets."""

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._policy = policy

    async def claim(self, claims: Sequence[Claim], now: float) -> list[Answer]:
        """See `Claims.claim`."""
        if not claims:
            return []
        async with self._database.writing() as connection:
            rows = await self._rows(connection, [claim.job for claim in claims], now)
            change = _Change(now, self._policy)
            answers = [change.claim(rows[_key(claim.job.id)], claim) for claim in claims]
            await change.write(connection)
        return answers

    async def settle(self, settlements: Sequence[Settlement], now: float) -> list[bool]:
        """See `Claims.settle`."""
        if not settlements:
            return []
        async with self._database.writing() as connection:
            rows = await self._rows(connection, [settlement.job for settlement in settlements], now)
            change = _Change(now, self._policy)
            taken = [change.settle(rows[_key(settlement.job.id)], settlement) for settlement in settlements]
            await change.write(connection)
        return taken

    async def hold(self, jobs: Sequence[Job], reason: str, now: float) -> None:
        """See `Claims.hold`."""
        values = [{**_job_values(_Row(job, reason=reason), now), "state": "unknown"} for job in jobs]
        if values:
            async with self._database.writing() as connection:
                await connection.execute(_PLACES[connection.dialect.name], values)

    async def _rows(self, connection: AsyncConnection, wanted: Sequence[Job], now: float) -> dict[str, _Row]:
        """The jobs as they stand, nobody else's until the transaction ends."""
        rows = {_key(job.id): _Row(job) for job in wanted}
        ids = sorted(rows)
        if self._database.is_postgres:
            # What is not there can't be locked, so it is put there first; the number 0 says that it is new.
            await connection.execute(_PLACES[connection.dialect.name], [_job_values(rows[id], now) for id in ids])
            found = await connection.execute(_LOCK, {"ids": ids})
        else:
            found = await connection.execute(_LOOK, {"ids": msgspec.json.encode(ids).decode()})
        unsettled = []
        for id, state, number, owner, until, created, reason, doubtful in found:
            row = rows[id]
            if number:
                row.record = JobRecord(id, state, number, owner, until)
                row.created, row.reason, row.doubtful = created, reason, doubtful
                if state in ("waiting", "dead"):
                    unsettled.append(id)
        if unsettled:
            await self._read_outcomes(connection, rows, unsettled)
        return rows

    async def _read_outcomes(self, connection: AsyncConnection, rows: dict[str, _Row], ids: list[str]) -> None:
        # A statement of its own: joined to the one that locks, it would see the attempts as they were before the lock.
        query, given = (_OUTCOMES_ANY, ids) if self._database.is_postgres else (_OUTCOMES, msgspec.json.encode(ids).decode())
        for id, detail in await connection.execute(query, {"ids": given}):
            if (record := rows[id].record) is not None:
                rows[id].record = msgspec.structs.replace(record, outcome=read_outcome(detail))


class _Change:
    """What a transaction writes: collected row by row, then sent in a few statements."""

    def __init__(self, now: float, policy: Policy) -> None:
        self._now, self._policy = now, policy
        self._changed: dict[str, _Row] = {}
        self._begun: list[dict[str, Any]] = []
        self._ended: list[dict[str, Any]] = []

    def claim(self, row: _Row, claim: Claim) -> Answer:
        """What the claim gets; `row` is then as it leaves it."""
        got, before, id = answer(row.record, claim, self._now, self._policy), row.record, _key(claim.job.id)
        if isinstance(got, Go):
            if before is None or before.attempt != got.attempt:
                self._doubt(row)
                self._begin(id, got.attempt, claim.owner, self._now)
            row.record = JobRecord(id, "sending", got.attempt, claim.owner, claim.until)
            self._changed[id] = row
        elif isinstance(got, Over) and before is not None and got.state != before.state:
            self._doubt(row)
            row.record = JobRecord(id, got.state, before.attempt, before.owner, 0.0, Unknown(LEASE_OVER))
            self._changed[id] = row
        return got

    def settle(self, row: _Row, settlement: Settlement) -> bool:
        """Whether the outcome counts; `row` is then as it leaves it."""
        before, id, number, outcome = row.record, _key(settlement.job.id), settlement.attempt, settlement.outcome
        if not may_settle(before, number, settlement.owner):
            return False
        if before is None or before.state != "sending":
            self._begin(id, number, settlement.owner, settlement.started)
        row.record = JobRecord(id, state_after(outcome, self._policy), number, settlement.owner, 0.0, outcome)
        row.reason = _plain(getattr(outcome, "reason", ""))
        row.doubtful += isinstance(outcome, Unknown)
        self._end(id, number, outcome)
        self._changed[id] = row
        return True

    async def write(self, connection: AsyncConnection) -> None:
        """Writes all of it."""
        if self._changed:
            values = [_job_values(row, self._now) for row in self._changed.values()]
            await connection.execute(_UPSERTS[connection.dialect.name], values)
        if self._begun:
            await connection.execute(_BEGIN, self._begun)
        if self._ended:
            await connection.execute(_END, self._ended)

    def _doubt(self, row: _Row) -> None:
        """The newest attempt was claimed and its owner is gone: from now on its outcome is unknown."""
        if row.record is not None and row.record.state == "sending":
            row.doubtful += 1
            row.reason = LEASE_OVER
            self._end(row.record.id, row.record.attempt, Unknown(LEASE_OVER))

    def _begin(self, id: str, number: int, owner: str, started: float) -> None:
        self._begun.append({"job_id": id, "number": number, "owner": owner, "started": started})

    def _end(self, id: str, number: int, outcome: Outcome) -> None:
        tag = outcome.__struct_config__.tag
        self._ended.append({"id": id, "no": number, "finished": self._now, "outcome": tag, "detail": _detail(outcome)})


def _job_values(row: _Row, now: float) -> dict[str, Any]:
    job, record = row.job, row.record
    return {
        "id": _key(job.id),
        "user_id": _plain(job.user)[:_INDEXED],
        "rule": _plain(job.rule),
        "class": job.job_class,
        "task": _plain(job.task),
        "template": _plain(job.template),
        "source": _plain(str(job.event.get("source", ""))),
        "event_id": _plain(str(job.event.get("id", ""))),
        "recipient": _plain(job.to),
        "state": "waiting" if record is None else record.state,
        "attempt": 0 if record is None else record.attempt,
        "owner": "" if record is None else record.owner,
        "until": 0.0 if record is None else record.until,
        "created": now if row.created is None else row.created,
        "updated": now,
        "reason": row.reason,
        "doubtful": row.doubtful,
    }


_INDEXED: Final = 500
"""Characters of a text that has an index: Postgres refuses a row whose index entry has more than 2,704 bytes."""


def _plain(text: str) -> str:
    """`text` as any database can hold it. A mail server's words, or a job that others wrote, may have anything in them."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{SYMBOL FOR NULL}")


_key = _plain


def _detail(outcome: Outcome) -> str:
    try:
        return msgspec.json.encode(outcome).decode()
    except UnicodeEncodeError:  # a lone surrogate
        fields = msgspec.structs.asdict(outcome).items()
        plain = {name: _plain(value) if isinstance(value, str) else value for name, value in fields}
        return msgspec.json.encode(msgspec.structs.replace(outcome, **plain)).decode()


# -- statements --------------------------------------------------------------------------------------------------------

_IN_JSON: Final = select(column("value", Text)).select_from(func.json_each(bindparam("ids", type_=Text)))
_IS_ANY: Final[ColumnElement[Any]] = any_(bindparam("ids", type_=ARRAY(Text)))

_SEEN: Final = select(*(jobs.c[name] for name in ("id", "state", "attempt", "owner", "until", "created", "reason", "doubtful")))
_LOOK: Final = _SEEN.where(jobs.c.id.in_(_IN_JSON))
_LOCK: Final = _SEEN.where(jobs.c.id == _IS_ANY).order_by(jobs.c.id).with_for_update()

_NEWEST: Final = select(attempts.c.job_id, attempts.c.detail).join(
    jobs, and_(jobs.c.id == attempts.c.job_id, jobs.c.attempt == attempts.c.number)
)
_OUTCOMES: Final = _NEWEST.where(jobs.c.id.in_(_IN_JSON))
_OUTCOMES_ANY: Final = _NEWEST.where(jobs.c.id == _IS_ANY)

_PLACES: Final = {
    "sqlite": sqlite.insert(jobs).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(jobs).on_conflict_do_nothing(),
}
_MOVING: Final = ("state", "attempt", "owner", "until", "updated", "reason", "doubtful")
_UPSERTS: Final = {
    name: statement.on_conflict_do_update(index_elements=["id"], set_={moved: statement.excluded[moved] for moved in _MOVING})
    for name, statement in (("sqlite", sqlite.insert(jobs)), ("postgresql", postgresql.insert(jobs)))
}
_BEGIN: Final = insert(attempts)
_END: Final = (
    update(attempts)
    .where(attempts.c.job_id == bindparam("id"), attempts.c.number == bindparam("no"))
    .values({name: bindparam(name) for name in ("finished", "outcome", "detail")})
)

"""The send ledger: who may do which attempt at a job, and what came of it. See `store.interfaces.Claims`.

It decides nothing itself: it reads the records, asks `activity.claims`, and writes, all in one transaction in which the
jobs are nobody else's. On SQLite that is any writing transaction; on Postgres the rows are locked, always in the order
of their ids, so that two transactions never wait for each other.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ARRAY, ColumnElement, Text, and_, any_, bindparam, column, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from activity.claims import Answer, Claim, JobRecord, Policy, keeps_from_cancelling, keeps_from_moving, keeps_from_replaying
from activity.jobs import Job
from store.change import LEASE_OVER as LEASE_OVER
from store.change import Change, Row, job_values, key
from store.change import Settlement as Settlement
from store.connection import Database
from store.jobs import read_outcome
from store.schema import attempt as attempts
from store.schema import job as jobs


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
            change = Change(now, self._policy)
            answers = [change.claim(rows[key(claim.job.id)], claim) for claim in claims]
            await change.write(connection)
        return answers

    async def settle(self, settlements: Sequence[Settlement], now: float) -> list[bool]:
        """See `Claims.settle`."""
        if not settlements:
            return []
        async with self._database.writing() as connection:
            rows = await self._rows(connection, [settlement.job for settlement in settlements], now)
            change = Change(now, self._policy)
            taken = [change.settle(rows[key(settlement.job.id)], settlement) for settlement in settlements]
            await change.write(connection)
        return taken

    async def hold(self, jobs: Sequence[Job], reason: str, now: float) -> None:
        """See `Claims.hold`."""
        values = [{**job_values(Row(job, reason=reason), now), "state": "unknown"} for job in jobs]
        if values:
            async with self._database.writing() as connection:
                await connection.execute(_PLACES[connection.dialect.name], values)

    async def cancel(self, id: str, now: float) -> str | None:
        """See `Wishes.cancel`."""
        nameless = _nameless(id)
        async with self._database.writing() as connection:
            row = (await self._rows(connection, [nameless], now))[key(id)]
            problem = keeps_from_cancelling(row.record, now)
            if problem is None and (row.record is None or row.record.state != "cancelled"):
                change = Change(now, self._policy)
                change.cancel(row)
                await change.write(connection)
        return problem

    async def move(self, id: str, due: float, now: float) -> str | None:
        """See `Wishes.move`."""
        async with self._database.writing() as connection:
            known = await connection.scalar(select(jobs.c.id).where(jobs.c.id == key(id)))
            if known is None:  # looked up first: `_rows` would put it there
                return keeps_from_moving(None)
            row = (await self._rows(connection, [_nameless(id)], now))[key(id)]
            problem = keeps_from_moving(row.record)
            if problem is None:
                change = Change(now, self._policy)
                change.reschedule(row, due)
                await change.write(connection)
        return problem

    async def reopen(
        self, connection: AsyncConnection, wanted: Sequence[Job], *, due: float, now: float, new: bool
    ) -> str | None:
        """Gives each of the jobs another round of attempts from `due` on, in the caller's transaction, which has to roll back
        what there was if this returns why one can't have it. With `new` those that the ledger knows are passed over."""
        rows = await self._rows(connection, wanted, now)
        change = Change(now, self._policy)
        for job in wanted:
            row = rows[key(job.id)]
            if row.record is not None and new:
                continue
            if (problem := keeps_from_replaying(row.record, now)) is not None:
                return problem
            change.reopen(row, job, due)
        await change.write(connection)
        return None

    async def _rows(self, connection: AsyncConnection, wanted: Sequence[Job], now: float) -> dict[str, Row]:
        """The jobs as they stand, nobody else's until the transaction ends."""
        rows = {key(job.id): Row(job) for job in wanted}
        ids = sorted(rows)
        if self._database.is_postgres:
            # What is not there can't be locked, so it is put there first; one that has nothing but its name is new.
            await connection.execute(_PLACES[connection.dialect.name], [job_values(rows[id], now) for id in ids])
            found = await connection.execute(_LOCK, {"ids": ids})
        else:
            found = await connection.execute(_LOOK, {"ids": msgspec.json.encode(ids).decode()})
        unsettled = []
        for id, state, number, owner, until, due, suspected, abandoned, created, reason, doubtful, rule in found:
            row = rows[id]
            if number or suspected or due is not None or state == "cancelled":
                row.record = JobRecord(id, state, number, owner, until, None, due, suspected, abandoned)
                row.created, row.reason, row.doubtful = created, reason, doubtful
                row.named = bool(rule) or state != "cancelled"
                if state in ("waiting", "scheduled", "dead"):
                    unsettled.append(id)
        if unsettled:
            await self._read_outcomes(connection, rows, unsettled)
        return rows

    async def _read_outcomes(self, connection: AsyncConnection, rows: dict[str, Row], ids: list[str]) -> None:
        # A statement of its own: joined to the one that locks, it would see the attempts as they were before the lock.
        query, given = (_OUTCOMES_ANY, ids) if self._database.is_postgres else (_OUTCOMES, msgspec.json.encode(ids).decode())
        for id, detail in await connection.execute(query, {"ids": given}):
            if (record := rows[id].record) is not None:
                rows[id].record = msgspec.structs.replace(record, outcome=read_outcome(detail))


def _nameless(id: str) -> Job:
    """A job of which nothing is known but its id: what the ledger has of it stays, and if it has nothing, a claim brings it."""
    return Job(id=id, rule="", job_class="transactional", user="", to="", template="", event={})


# -- statements --------------------------------------------------------------------------------------------------------

_IN_JSON: Final = select(column("value", Text)).select_from(func.json_each(bindparam("ids", type_=Text)))
_IS_ANY: Final[ColumnElement[Any]] = any_(bindparam("ids", type_=ARRAY(Text)))

_RECORD: Final = ("id", "state", "attempt", "owner", "until", "due", "suspected", "abandoned")
_SEEN: Final = select(*(jobs.c[name] for name in (*_RECORD, "created", "reason", "doubtful", "rule")))
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

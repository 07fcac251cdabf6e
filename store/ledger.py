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

from activity.claims import (
    Again,
    Answer,
    Claim,
    JobRecord,
    Policy,
    keeps_from_cancelling,
    keeps_from_deciding,
    keeps_from_moving,
    keeps_from_replaying,
)
from activity.jobs import Job
from activity.outcomes import Dead, Retry, Sent
from store.change import LEASE_OVER as LEASE_OVER
from store.change import Change, Row, job_values, key
from store.change import Settlement as Settlement
from store.connection import Database
from store.failure import is_about_data
from store.jobs import read_outcome
from store.schema import attempt as attempts
from store.schema import job as jobs
from store.statements import Statements

UNSTORABLE: Final = "unstorable"
"""The reason of a job that the database refuses, so that no attempt at it can be noted down."""


class Ledger:
    """The ledger in a database, under the policy that UNKNOWN_OUTCOME sets."""

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._policy = policy

    async def turn(
        self, settlements: Sequence[Settlement], claims: Sequence[Claim], now: float
    ) -> tuple[list[bool], list[Answer]]:
        """See `Claims.turn`."""
        if not settlements and not claims:
            return [], []

        def work(to: Statements) -> tuple[list[bool], list[Answer]]:
            rows = _rows(to, [*(one.job for one in settlements), *(one.job for one in claims)], now)
            change = Change(now, self._policy)
            taken = [change.settle(rows[key(one.job.id)], one) for one in settlements]
            answers = [change.claim(rows[key(one.job.id)], one) for one in claims]
            change.write(to)
            return taken, answers

        try:
            return await self._database.write(work)
        except Exception as error:
            if not is_about_data(error):
                raise
            return await self._apart(settlements, claims, now)

    async def _apart(
        self, settlements: Sequence[Settlement], claims: Sequence[Claim], now: float
    ) -> tuple[list[bool], list[Answer]]:
        """One of them is nothing that the database can hold: each gets a transaction of its own."""
        if len(settlements) + len(claims) > 1:
            taken = [ok for one in settlements for ok in await self.settle([one], now)]
            return taken, [got for one in claims for got in await self.claim([one], now)]
        return [False] * len(settlements), [Again(Dead(UNSTORABLE, "the store can't hold it"), one.attempt) for one in claims]

    async def claim(self, claims: Sequence[Claim], now: float) -> list[Answer]:
        """See `Claims.claim`."""
        return (await self.turn((), claims, now))[1]

    async def settle(self, settlements: Sequence[Settlement], now: float) -> list[bool]:
        """See `Claims.settle`."""
        return (await self.turn(settlements, (), now))[0]

    async def hold(self, jobs: Sequence[Job], reason: str, now: float) -> None:
        """See `Claims.hold`."""
        values = [{**job_values(Row(job, reason=reason), now), "state": "unknown"} for job in jobs]
        if values:
            await self._database.write(lambda to: to.each(_PLACES[to.dialect], values))

    async def cancel(self, id: str, now: float) -> str | None:
        """See `Wishes.cancel`."""

        def work(to: Statements) -> str | None:
            row = _rows(to, [_nameless(id)], now)[key(id)]
            problem = keeps_from_cancelling(row.record, now)
            if problem is None and (row.record is None or row.record.state != "cancelled"):
                change = Change(now, self._policy)
                change.cancel(row)
                change.write(to)
            return problem

        return await self._database.write(work)

    async def move(self, id: str, due: float, now: float) -> str | None:
        """See `Wishes.move`."""

        def work(to: Statements) -> str | None:
            if not list(to.rows(_KNOWN, {"id": key(id)})):  # looked up first: `_rows` would put it there
                return keeps_from_moving(None)
            row = _rows(to, [_nameless(id)], now)[key(id)]
            problem = keeps_from_moving(row.record)
            if problem is None:
                change = Change(now, self._policy)
                change.reschedule(row, due)
                change.write(to)
            return problem

        return await self._database.write(work)

    async def decide(self, job: Job, outcome: Sent | Retry, by: str, now: float) -> str | None:
        """See `Wishes.decide`."""

        def work(to: Statements) -> str | None:
            if not list(to.rows(_KNOWN, {"id": key(job.id)})):
                return keeps_from_deciding(None)
            row = _rows(to, [job], now)[key(job.id)]
            problem = keeps_from_deciding(row.record)
            if problem is None:
                change = Change(now, self._policy)
                change.decide(row, job, outcome, by)
                change.write(to)
            return problem

        return await self._database.write(work)

    def reopen(self, to: Statements, wanted: Sequence[Job], *, due: float, now: float, new: bool) -> str | None:
        """Gives each of the jobs another round of attempts from `due` on, in the caller's transaction, which has to roll back
        what there was if this returns why one can't have it. With `new` those that the ledger knows are passed over."""
        rows = _rows(to, wanted, now)
        change = Change(now, self._policy)
        for job in wanted:
            row = rows[key(job.id)]
            record = JobRecord(row.job.id, "unknown", 0, "", 0.0) if row.held else row.record
            if record is not None and new:
                continue
            if (problem := keeps_from_replaying(record, now)) is not None:
                return problem
            change.reopen(row, job, due)
        change.write(to)
        return None


def _rows(to: Statements, wanted: Sequence[Job], now: float) -> dict[str, Row]:
    """The jobs as they stand, nobody else's until the transaction ends."""
    rows = {key(job.id): Row(job) for job in wanted}
    ids = sorted(rows)
    if to.dialect == "postgresql":
        # What is not there can't be locked, so it is put there first; one that has nothing but its name is new.
        to.each(_PLACES[to.dialect], [job_values(rows[id], now) for id in ids])
        found = to.rows(_LOCK, {"ids": ids})
    else:
        found = to.rows(_LOOK, {"ids": _listed(ids)})
    unsettled = []
    for id, state, number, owner, until, due, suspected, abandoned, created, reason, doubtful, rule in found:
        row = rows[id]
        row.held = state == "unknown" and not number
        if number or suspected or due is not None or state == "cancelled":
            row.record = JobRecord(id, state, number, owner, until, None, due, suspected, abandoned)
            row.created, row.reason, row.doubtful = created, reason, doubtful
            row.named = bool(rule) or state != "cancelled"
            if state in ("waiting", "scheduled", "dead"):
                unsettled.append(id)
    if unsettled:
        _read_outcomes(to, rows, unsettled)
    return rows


def _read_outcomes(to: Statements, rows: dict[str, Row], ids: list[str]) -> None:
    # A statement of its own: joined to the one that locks, it would see the attempts as they were before the lock.
    found = to.rows(_OUTCOMES_ANY, {"ids": ids}) if to.dialect == "postgresql" else to.rows(_OUTCOMES, {"ids": _listed(ids)})
    for id, detail in found:
        if (record := rows[id].record) is not None:
            rows[id].record = msgspec.structs.replace(record, outcome=read_outcome(detail))


def _listed(ids: list[str]) -> str:
    return msgspec.json.encode(ids).decode()


def _nameless(id: str) -> Job:
    """A job of which nothing is known but its id: what the ledger has of it stays, and if it has nothing, a claim brings it."""
    return Job(id=id, rule="", job_class="transactional", user="", to="", template="", event={})


# -- statements --------------------------------------------------------------------------------------------------------

_IN_JSON: Final = select(column("value", Text)).select_from(func.json_each(bindparam("ids", type_=Text)))
_IS_ANY: Final[ColumnElement[Any]] = any_(bindparam("ids", type_=ARRAY(Text)))

_KNOWN: Final = select(jobs.c.id).where(jobs.c.id == bindparam("id"))

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

"""Looking into the send ledger: jobs and their attempts. See `store.interfaces.JobList`."""

from collections.abc import Sequence
from typing import Final, cast, get_args

import msgspec
from sqlalchemy import and_, func, select, tuple_

from activity.jobs import JobClass, JobState
from activity.outcomes import Outcome
from activity.replay import Known
from store.connection import Database
from store.schema import attempt, job


class JobRow(msgspec.Struct, frozen=True):
    """A job as it stands. Times are Unix seconds; `owner` holds its newest attempt until `until` while it is `sending`.

    `doubtful` attempts have an outcome that nobody knows: each may have been a mail that was sent. While it is `scheduled` nobody
    gets it before `due`. `repeats`: how many messages came after it had ended. The others: see `activity.claims.JobRecord`.
    """

    id: str
    user_id: str
    rule: str
    job_class: JobClass
    task: str
    template: str
    source: str
    event_id: str
    recipient: str
    state: JobState
    attempt: int
    owner: str
    until: float
    created: float
    updated: float
    reason: str
    doubtful: int
    due: float | None = None
    suspected: int = 0
    abandoned: int = 0
    repeats: int = 0


class AttemptRow(msgspec.Struct, frozen=True):
    """An attempt. Without an outcome it is claimed: being done, or its owner died and nobody has come for it so far."""

    job_id: str
    number: int
    owner: str
    started: float
    finished: float | None
    outcome: Outcome | None


class JobHistory(msgspec.Struct, frozen=True):
    """A job and all attempts at it, oldest first."""

    job: JobRow
    attempts: list[AttemptRow]


_LOOKUP: Final = 500
"""Jobs looked up by one statement."""
_outcome = msgspec.json.Decoder(Outcome)


def read_outcome(detail: str | None) -> Outcome | None:
    """The outcome that `attempt.detail` holds."""
    return None if detail is None else _outcome.decode(detail)


class Jobs:
    """The ledger's read side."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def job(self, id: str) -> JobHistory | None:
        """See `JobList.job`."""
        async with self._database.reading() as connection:
            found = (await connection.execute(select(job).where(job.c.id == id))).one_or_none()
        return None if found is None else JobHistory(JobRow(*found), await self.attempts(id))

    async def jobs(
        self, *, state: JobState | None = None, user: str | None = None, limit: int = 100, after: str | None = None
    ) -> list[JobRow]:
        """See `JobList.jobs`."""
        query = select(job)
        if state is not None:
            query = query.where(job.c.state == state)
        if user is not None:
            query = query.where(job.c.user_id == user)
        if after is not None:
            last = select(job.c.created, job.c.id).where(job.c.id == after).scalar_subquery()
            query = query.where(tuple_(job.c.created, job.c.id) < last)
        query = query.order_by(job.c.created.desc(), job.c.id.desc()).limit(limit)
        async with self._database.reading() as connection:
            return [JobRow(*row) for row in await connection.execute(query)]

    async def known(self, ids: Sequence[str]) -> dict[str, Known]:
        """See `JobList.known`."""
        found: dict[str, Known] = {}
        query = select(job.c.id, job.c.state, job.c.attempt)
        async with self._database.reading() as connection:
            for start in range(0, len(ids), _LOOKUP):
                wanted = query.where(job.c.id.in_(ids[start : start + _LOOKUP]))
                found |= {id: Known(state, attempt) for id, state, attempt in await connection.execute(wanted)}
        return found

    async def scheduled(self, *, user: str | None = None, limit: int = 100, after: str | None = None) -> list[JobRow]:
        """See `JobList.scheduled`."""
        query = select(job).where(job.c.state == "scheduled")
        if user is not None:
            query = query.where(job.c.user_id == user)
        if after is not None:
            query = query.where(
                tuple_(job.c.due, job.c.id) > select(job.c.due, job.c.id).where(job.c.id == after).scalar_subquery()
            )
        async with self._database.reading() as connection:
            return [JobRow(*row) for row in await connection.execute(query.order_by(job.c.due, job.c.id).limit(limit))]

    async def counts(self) -> dict[JobState, int]:
        """See `JobList.counts`."""
        found: dict[JobState, int] = dict.fromkeys(get_args(JobState), 0)
        async with self._database.reading() as connection:
            for state, number in await connection.execute(select(job.c.state, func.count()).group_by(job.c.state)):
                found[cast(JobState, state)] = number
        return found

    async def outcomes(self, ids: Sequence[str]) -> dict[str, tuple[JobState, int, Outcome | None]]:
        """See `Outcomes.outcomes`."""
        if not ids:
            return {}
        newest = and_(attempt.c.job_id == job.c.id, attempt.c.number == job.c.attempt)
        query = select(job.c.id, job.c.state, job.c.attempt, attempt.c.detail).outerjoin(attempt, newest)
        query = query.where(job.c.id.in_(ids), job.c.state.not_in(("scheduled", "sending", "waiting")))
        async with self._database.reading() as connection:
            rows = await connection.execute(query)
            return {id: (state, number, read_outcome(detail)) for id, state, number, detail in rows}

    async def attempts(self, job_id: str) -> list[AttemptRow]:
        """See `JobList.attempts`."""
        columns = attempt.c
        query = select(columns.job_id, columns.number, columns.owner, columns.started, columns.finished, columns.detail)
        async with self._database.reading() as connection:
            rows = await connection.execute(query.where(columns.job_id == job_id).order_by(columns.number))
            return [AttemptRow(*row[:-1], read_outcome(row.detail)) for row in rows]

"""Looking into the send ledger: jobs and their attempts. See `store.interfaces.JobList`."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast, get_args

import msgspec
from sqlalchemy import Row, and_, func, select, tuple_

from activity.jobs import JobState
from activity.ledger import AttemptRow, JobHistory, JobRow
from activity.outcomes import Outcome
from activity.replay import Known
from store.change import cut, plain
from store.connection import Database
from store.schema import attempt, job

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
            found = (await connection.execute(select(job).where(job.c.id == plain(id)))).one_or_none()
        return None if found is None else JobHistory(JobRow(*found), await self.attempts(id))

    async def jobs(
        self, *, state: JobState | None = None, user: str | None = None, limit: int = 100, after: str | None = None
    ) -> list[JobRow]:
        """See `JobList.jobs`."""
        query = select(job)
        if state is not None:
            query = query.where(job.c.state == state)
        if user is not None:
            query = query.where(job.c.user_id == cut(user))
        if after is not None:
            last = select(job.c.created, job.c.id).where(job.c.id == plain(after)).scalar_subquery()
            query = query.where(tuple_(job.c.created, job.c.id) < last)
        query = query.order_by(job.c.created.desc(), job.c.id.desc()).limit(limit)
        async with self._database.reading() as connection:
            return [JobRow(*row) for row in await connection.execute(query)]

    async def of_events(self, user: str, events: Sequence[tuple[str, str]], ids: Sequence[str] = ()) -> list[JobHistory]:
        """See `JobList.of_events`."""
        wanted, rows = set(events), dict[str, JobRow]()
        async with self._database.reading() as connection:
            mine = select(job.c.id, job.c.source, job.c.event_id).where(job.c.user_id == cut(user))
            found = [id for id, source, event_id in await connection.execute(mine) if (source, event_id) in wanted]
            for some in parts(sorted({*found, *ids})):
                rows |= {row.id: JobRow(*row) for row in await connection.execute(select(job).where(job.c.id.in_(some)))}
            attempts = defaultdict[str, list[AttemptRow]](list)
            for some in parts(list(rows)):
                for row in await connection.execute(_ATTEMPTS.where(attempt.c.job_id.in_(some))):
                    attempts[row.job_id].append(_attempt_row(row))
        return [JobHistory(row, attempts[id]) for id, row in rows.items()]

    async def known(self, ids: Sequence[str]) -> dict[str, Known]:
        """See `JobList.known`."""
        found: dict[str, Known] = {}
        query = select(job.c.id, job.c.state, job.c.attempt)
        async with self._database.reading() as connection:
            for some in parts(ids):
                rows = await connection.execute(query.where(job.c.id.in_(some)))
                found |= {id: Known(state, attempt) for id, state, attempt in rows}
        return found

    async def scheduled(self, *, user: str | None = None, limit: int = 100, after: str | None = None) -> list[JobRow]:
        """See `JobList.scheduled`."""
        query = select(job).where(job.c.state == "scheduled")
        if user is not None:
            query = query.where(job.c.user_id == cut(user))
        if after is not None:
            last = select(job.c.due, job.c.id).where(job.c.id == plain(after)).scalar_subquery()
            query = query.where(tuple_(job.c.due, job.c.id) > last)
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
        async with self._database.reading() as connection:
            return list(map(_attempt_row, await connection.execute(_ATTEMPTS.where(attempt.c.job_id == plain(job_id)))))


_ATTEMPTS: Final = select(
    attempt.c.job_id, attempt.c.number, attempt.c.owner, attempt.c.started, attempt.c.finished, attempt.c.detail
).order_by(attempt.c.job_id, attempt.c.number)


def _attempt_row(row: Row[*tuple[Any, ...]]) -> AttemptRow:
    job_id, number, owner, started, finished, detail = row
    return AttemptRow(job_id, number, owner, started, finished, read_outcome(detail))


def parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """`ids`, so many at a time as one statement looks up."""
    return (ids[start : start + _LOOKUP] for start in range(0, len(ids), _LOOKUP))

"""The jobs that wait in the store for their time, and who publishes them. See `store.interfaces.Schedule`."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import delete, select, update

from activity.jobs import JobClass
from store.connection import Database
from store.schema import job as jobs
from store.schema import shelf


class Due(msgspec.Struct, frozen=True):
    """A job whose time has come: the attempt that it asks for, its bytes, and what must be known to publish them unread.

    `before`: how many attempts it had before it was replayed.
    """

    id: str
    attempt: int
    body: bytes
    job_class: JobClass
    rule: str
    user: str
    before: int = 0


class Schedule:
    """The shelf in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, owner: str, until: float, now: float, limit: int) -> list[Due]:
        """See `Schedule.take` in `store.interfaces`."""
        wanted = (
            select(jobs.c.id, shelf.c.attempt, shelf.c.body, jobs.c["class"], jobs.c.rule, jobs.c.user_id, shelf.c.before)
            .join(shelf, shelf.c.job_id == jobs.c.id)
            .where(jobs.c.state == "scheduled", jobs.c.due <= now, jobs.c.until <= now)
            .order_by(jobs.c.due, jobs.c.id)
            .limit(limit)
        )
        async with self._database.reading() as connection:  # most looks find nothing, and keep nobody from writing
            if (await connection.execute(wanted.limit(1))).first() is None:
                return []
        async with self._database.writing() as connection:
            # Another mailer that takes at the same time takes others. Nobody is waited for, so there is no deadlock.
            locked = wanted.with_for_update(of=jobs, skip_locked=True)
            found = [Due(*row) for row in await connection.execute(locked)]
            ids = [due.id for due in found]
            await connection.execute(update(jobs).where(jobs.c.id.in_(ids)).values(owner=owner, until=until))
        return found

    async def published(self, ids: Sequence[str], owner: str, now: float) -> list[str]:
        """See `Schedule.published` in `store.interfaces`."""
        mine = select(jobs.c.id).where(jobs.c.id.in_(ids), jobs.c.state == "scheduled", jobs.c.owner == owner)
        async with self._database.writing() as connection:
            found = list(await connection.scalars(mine.order_by(jobs.c.id).with_for_update()))
            if found:
                waiting = update(jobs).where(jobs.c.id.in_(found))
                await connection.execute(waiting.values(state="waiting", owner="", until=0.0, updated=now))
                await connection.execute(delete(shelf).where(shelf.c.job_id.in_(found)))
        return found

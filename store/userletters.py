"""The dead letters of a user, for their timeline. See `store.interfaces.UserLetters`."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from sqlalchemy import select, tuple_

from activity.dead import ActionRow, DeskEntry
from store.change import cut
from store.connection import Database
from store.jobs import parts
from store.schema import dead_letter, desk_action

_COLUMNS: Final = [dead_letter.c[name] for name in DeskEntry.__struct_fields__ if name != "actions"]
_ACTIONS: Final = select(desk_action.c.letter_id, *(desk_action.c[name] for name in ActionRow.__struct_fields__)).order_by(
    desk_action.c.letter_id, desk_action.c.number
)


class LettersByUser:
    """The read side of the desk that is about users."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_user(
        self,
        user: str,
        *,
        limit: int = 100,
        after: tuple[float, str] | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> list[DeskEntry]:
        """See `UserLetters.of_user`."""
        table = dead_letter.c
        query = select(*_COLUMNS).where(table.user_id == cut(user))
        if after is not None:
            query = query.where(tuple_(table.first_seen, table.id) < (after[0], cut(after[1])))
        if since is not None:
            query = query.where(table.first_seen >= since)
        if until is not None:
            query = query.where(table.first_seen < until)
        query = query.order_by(table.first_seen.desc(), table.id.desc()).limit(limit)
        actions = defaultdict[str, list[ActionRow]](list)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
            for some in parts([row.id for row in rows]):
                for id, *action in await connection.execute(_ACTIONS.where(desk_action.c.letter_id.in_(some))):
                    actions[id].append(ActionRow(*action))
        return [DeskEntry(**row._mapping, actions=actions[row.id]) for row in rows]

    async def of_jobs(self, user: str, jobs: Sequence[str]) -> dict[str, str]:
        """See `UserLetters.of_jobs`."""
        table, found = dead_letter.c, dict[str, str]()
        query = select(table.job, table.id).where(table.user_id == cut(user)).order_by(table.first_seen, table.id)
        async with self._database.reading() as connection:
            for some in parts(jobs):
                rows = await connection.execute(query.where(table.job.in_([cut(job) for job in some])))
                found |= {row.job: row.id for row in rows}  # the newest comes last
        return found

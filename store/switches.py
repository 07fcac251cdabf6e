"""What people set while Chopar runs: a pause that stands until it is taken back. See `store.interfaces.Switches`."""

from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from store.connection import Database
from store.schema import switch


class Switches:
    """The table `switch`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, name: str) -> str | None:
        """See `Switches.read`."""
        async with self._database.reading() as connection:
            value: str | None = (await connection.execute(select(switch.c.value).where(switch.c.name == name))).scalar()
        return value

    async def write(self, name: str, value: str | None, now: float) -> None:
        """See `Switches.write`."""
        async with self._database.writing() as connection:
            if value is None:
                await connection.execute(delete(switch).where(switch.c.name == name))
            else:
                await connection.execute(_UPSERTS[connection.dialect.name], {"name": name, "value": value, "changed": now})


_UPSERTS: Final = {
    name: statement.on_conflict_do_update(
        index_elements=["name"], set_={"value": statement.excluded.value, "changed": statement.excluded.changed}
    )
    for name, statement in (("sqlite", sqlite.insert(switch)), ("postgresql", postgresql.insert(switch)))
}

"""Opens the store: connects, brings the tables up to date, and hands out its parts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import select

from activity.claims import Policy
from store.address import parse_address
from store.connection import Database, set_journal
from store.deadletters import DeadLetters
from store.failure import translated
from store.jobs import Jobs
from store.ledger import Ledger
from store.lock import exclusive
from store.log import ActivityLog
from store.migrating import upgrade
from store.schedule import Schedule
from store.switches import Switches
from store.userletters import LettersByUser

PREPARE_TIMEOUT: Final = 120.0
"""Seconds to wait for another process that changes the tables."""


class Store:
    """The parts of the store, over one pool of connections."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.log = ActivityLog(database)
        self.jobs = Jobs(database)
        self.schedule = Schedule(database)
        self.switches = Switches(database)
        self.letters = DeadLetters(database)
        self.user_letters = LettersByUser(database)

    async def answers(self) -> None:
        """Raises Unreachable if the store is away."""
        async with self._database.reading() as connection:
            await connection.execute(select(1))

    def ledger(self, policy: Policy) -> Ledger:
        """The send ledger; `policy` is UNKNOWN_OUTCOME."""
        return Ledger(self._database, policy)


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[Store]:
    """The store at `url`, its tables as this version needs them. Any number of processes may open it at a time.

    Raises SettingError if `url` names no store, Unreachable if it does not answer, Mismatch if a newer version has
    written to it. The text of each is one line, without the password.
    """
    database = Database(parse_address(url))
    try:
        await _prepare(database)
        yield Store(database)
    finally:
        await database.close()


async def _prepare(database: Database) -> None:
    address = database.address
    if address.file is None:
        await _upgrade(database)
        return
    with translated(address):
        if not address.file.parent.exists():
            address.file.parent.mkdir(exist_ok=True)  # one folder, as `.chopar`; a whole path would hide a typing error
        async with exclusive(Path(f"{address.file}.lock"), PREPARE_TIMEOUT):
            await asyncio.to_thread(set_journal, str(address.file))
            await _upgrade(database)


async def _upgrade(database: Database) -> None:
    async with database.writing() as connection:
        await connection.run_sync(upgrade, database.address.shown)

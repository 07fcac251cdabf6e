"""What an older version has written is there after each step."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from activity.claims import Claim, Go, Over
from activity.outcomes import Retry
from store.address import parse_address
from store.connection import Database
from store.migrating import _FOLDER
from store.opening import open_store
from tests.store.orders import job

JOB = (
    "INSERT INTO job (id, user_id, rule, class, task, template, source, event_id, recipient,"
    " state, attempt, owner, until, created, updated, reason, doubtful)"
    " VALUES ('{id}', 'u-1', 'welcome', 'bulk', 'email', 'hello', '/shop', 'e', 'a@b', '{state}', 1, 'o', 0, 1, 2, 'why', 0)"
)
ATTEMPT = (
    "INSERT INTO attempt (job_id, number, owner, started, finished, outcome, detail) VALUES ('j-2', 1, 'o', 1, 2, 'retry',"
    ' \'{"type":"retry","reason":"451"}\')'
)


async def test_a_ledger_of_the_first_version_is_kept(url: str) -> None:
    def first(connection: Connection) -> None:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(_FOLDER))
        command.upgrade(config, "0001")
        for id, state in (("j-1", "sent"), ("j-2", "waiting")):
            connection.execute(text(JOB.format(id=id, state=state)))
        connection.exec_driver_sql(ATTEMPT)

    database = Database(parse_address(url))
    async with database.writing() as connection:
        await connection.run_sync(first)
    await database.close()
    async with open_store(url) as store:
        found = await store.jobs.job("j-2")
        assert found is not None
        assert (found.job.state, found.job.created, found.job.reason, found.job.due, found.job.repeats) == (
            "waiting",
            1,
            "why",
            None,
            0,
        )
        assert [(row.number, row.outcome) for row in found.attempts] == [(1, Retry("451"))]
        ledger = store.ledger("resend")
        claims = [Claim(job("j-1"), 1, "a", 60.0), Claim(job("j-2"), 2, "a", 60.0)]
        assert await ledger.claim(claims, 10.0) == [Over("sent"), Go(2)]
        assert await ledger.cancel("j-3", 11.0) is None  # a state that the first version did not know of

"""The store while it runs: what is an outage, what is a mistake, and that it is well again afterwards."""

import asyncio
import random
import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

import store.connection
from activity.claims import Again, Answer, Claim, Go
from activity.errors import Unreachable
from activity.outcomes import Dead, Retry, Sent
from store.address import parse_address
from store.connection import Database
from store.failure import diagnose, is_about_data, translated
from store.interfaces import Claims
from store.ledger import UNSTORABLE, Settlement
from store.log import ActivityLog, Appended
from store.opening import Store, open_store
from tests.store import server
from tests.store.orders import entry, job

REFUSED = Dead(UNSTORABLE, "the store can't hold it")


async def test_a_full_disk_is_waited_out(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_store(sqlite_url):
        pass
    pages = 0

    def bound(connection: sqlite3.Connection, _record: object) -> None:
        if pages:
            connection.execute(f"PRAGMA max_page_count = {pages}")

    def connected(file: Path) -> sqlite3.Connection:
        connection = connect(file)
        bound(connection, None)
        return connection

    connect = store.connection._connected
    monkeypatch.setattr("store.connection._connected", connected)
    database = Database(parse_address(sqlite_url))
    event.listen(database.engine.sync_engine, "connect", bound)
    log = ActivityLog(database)
    await log.append([entry(1)])
    async with database.reading() as connection:
        pages = await connection.scalar(text("PRAGMA page_count")) + 2
    await database.close()
    more = [entry(position) for position in range(2, 500)]
    with pytest.raises(Unreachable, match=r"disk is full.*make room"):
        await log.append(more)
    assert await log.count() == 1
    pages = 0
    await database.close()
    assert await log.append(more) == Appended(498)
    await database.close()


async def test_another_writer_is_waited_for(sqlite_url: str) -> None:
    async with open_store(sqlite_url) as store:
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(store.log.append([entry(1)]))
        assert await store.log.count() == 0  # who reads does not wait
        assert not waiting.done()
        other.execute("COMMIT")
        assert await waiting == Appended(1)
        other.close()


async def test_a_writer_that_never_ends_is_an_outage(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.connection.BUSY_TIMEOUT", 0.05)
    async with open_store(sqlite_url) as store:
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unreachable, match="database is locked"):
            await store.log.append([entry(1)])
        other.close()
        assert await store.log.append([entry(1)]) == Appended(1)


async def test_the_ledger_waits_for_another_writer(sqlite_url: str) -> None:
    async with open_store(sqlite_url) as store:
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(store.ledger("hold").claim([Claim(job(), 1, "a", 2.0)], 1.0))
        assert (await store.jobs.counts())["sending"] == 0  # who reads does not wait
        assert not waiting.done()
        other.execute("COMMIT")
        assert await waiting == [Go(1)]
        other.close()


async def test_a_writer_that_never_ends_is_an_outage_for_the_ledger_too(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.connection.BUSY_TIMEOUT", 0.05)
    async with open_store(sqlite_url) as store:
        ledger = store.ledger("hold")
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unreachable, match="database is locked"):
            await ledger.claim([Claim(job(), 1, "a", 2.0)], 1.0)
        other.close()
        assert await ledger.claim([Claim(job(), 1, "a", 2.0)], 1.0) == [Go(1)]


async def test_a_transaction_that_raises_leaves_nothing_and_harms_nothing(sqlite_url: str) -> None:
    async with open_store(sqlite_url) as store:
        ledger, good = store.ledger("hold"), Claim(job("j-2"), 1, "a", 2.0)
        unknown_class = replace(good.job, id="j-1", task=cast(str, object()))
        with pytest.raises(AttributeError):
            await ledger.claim([good, Claim(unknown_class, 1, "a", 2.0)], 1.0)
        assert await store.jobs.jobs() == []
        assert await ledger.claim([good], 1.0) == [Go(1)]


async def test_a_cancelled_turn_is_whole_or_not_there(store: Store) -> None:
    seed, ledger = random.Random(7), store.ledger("hold")
    for number in range(20):
        claims = [Claim(job(f"j-{number}-{part}"), 1, "a", 1e9) for part in range(3)]
        task = asyncio.create_task(ledger.claim(claims, 1.0))
        await asyncio.wait({task}, timeout=seed.random() * 0.004)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await ledger.claim(claims, 1.0) == [Go(1)] * 3
    assert (await store.jobs.counts())["sending"] == 60


async def test_a_lost_connection_is_waited_out(postgres_url: str) -> None:
    async with open_store(postgres_url) as store:
        await store.log.append([entry(1)])
        await _hang_up(postgres_url)
        with pytest.raises(Unreachable, match="CHOPAR_STORE_URL"):
            await store.log.append([entry(2)])
        assert await store.log.append([entry(2)]) == Appended(1)


@pytest.mark.parametrize("setting", ["statement_timeout", "lock_timeout"])
async def test_a_time_limit_of_the_server_is_an_outage(postgres_url: str, setting: str) -> None:
    """As its administrator sets it, or who hosts it."""
    database = Database(parse_address(postgres_url))

    async def limited() -> None:
        async with database.writing() as connection:
            await connection.execute(text(f"SET LOCAL {setting} = 50"))
            await connection.execute(text("LOCK TABLE one"))

    async with database.writing() as other:
        await other.execute(text("CREATE TABLE one ()"))
    async with database.writing() as other:
        await other.execute(text("LOCK TABLE one"))
        with pytest.raises(Unreachable, match="CHOPAR_STORE_URL"):
            await limited()
    await database.close()


async def test_a_server_that_goes_away_and_comes_back() -> None:
    programs = server.programs()
    if programs is None:
        pytest.skip("Postgres is not installed")
    with server.made(programs) as made, ExitStack() as running:
        running.enter_context(server.up(made))
        async with open_store(f"{made.url}/postgres") as store:
            assert await store.log.append([entry(1)]) == Appended(1)
            running.close()
            for _ in range(2):
                with pytest.raises(Unreachable) as raised:
                    await store.log.append([entry(2)])
                assert server.QUOTED not in str(raised.value)
            running.enter_context(server.up(made))
            assert await store.log.append([entry(1), entry(2)]) == Appended(1)
            assert await store.log.read("u-1") == [entry(2), entry(1)]


async def _hang_up(url: str) -> None:
    database = Database(parse_address(url))
    async with database.writing() as connection:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        await connection.execute(text(f"{query} AND pid <> pg_backend_pid()"))
    await database.close()


async def test_a_mistake_is_no_outage(store: Store) -> None:
    database = store.log._database
    with pytest.raises(DBAPIError, match="no_such_table"):
        async with database.reading() as connection:
            await connection.execute(text("SELECT * FROM no_such_table"))
    insert = text("INSERT INTO attempt (job_id, number, owner, started) VALUES ('none', 1, 'a', 0)")
    with pytest.raises(DBAPIError, match=r"(?i)foreign key"):
        async with database.writing() as connection:
            await connection.execute(insert)
    with pytest.raises(KeyError), translated(database.address):
        raise KeyError("mine")


async def test_states_and_verdicts_are_checked(store: Store) -> None:
    database = store.log._database
    await store.log.append([entry(1)])
    await store.ledger("hold").claim([Claim(job(), 1, "a", 2.0)], 1.0)
    for statement in (
        "UPDATE activity SET verdict = 'odd'",
        "UPDATE job SET state = 'odd'",
        "UPDATE attempt SET outcome = 'odd'",
        "UPDATE activity SET position = 0",
    ):
        with pytest.raises(DBAPIError, match=r"(?i)check"):
            async with database.writing() as connection:
                await connection.execute(text(statement))


async def test_what_is_too_long_for_an_index(postgres_url: str) -> None:
    long = "".join(map(chr, random.Random(7).choices(range(0x4E00, 0x9FFF), k=4000)))
    async with open_store(postgres_url) as store:
        odd = entry(2, event_id=long)
        assert await store.log.append([entry(1), odd, entry(3)]) == Appended(2, [odd])
        assert await store.ledger("hold").claim([Claim(job(user=long), 1, "a", 2.0)], 1.0) == [Go(1)]
        assert [row.user_id for row in await store.jobs.jobs()] == [long[:500]]
        assert await store.ledger("hold").claim([Claim(job(long), 1, "a", 2.0)], 1.0) == [Again(REFUSED, 1)]


async def test_a_job_that_can_not_be_held_keeps_no_other_out(store: Store) -> None:
    ledger, huge = store.ledger("resend"), 2**70
    claims = [Claim(job("j-1"), 1, "a", 9.0), Claim(job("j-2"), huge, "a", 9.0), Claim(job("j-3"), 1, "a", 9.0)]
    assert await ledger.claim(claims, 1.0) == [Go(1), Again(REFUSED, huge), Go(1)]
    settlements = [Settlement(job("j-2"), huge, "a", 1.0, Sent()), Settlement(job("j-1"), 1, "a", 1.0, Sent())]
    assert await ledger.turn(settlements, [Claim(job("j-4"), 1, "a", 9.0)], 2.0) == ([False, True], [Go(1)])
    assert {row.id: row.state for row in await store.jobs.jobs()} == {"j-1": "sent", "j-3": "sending", "j-4": "sending"}


def test_what_no_database_says() -> None:
    assert diagnose(PoolTimeout()) is not None
    assert diagnose(ValueError("x")) is None
    assert not is_about_data(ValueError("x"))
    long = diagnose(OSError("a\n" * 500))
    assert long is not None
    assert len(long[0]) < 250
    assert diagnose(TimeoutError()) == ("TimeoutError", "")


async def test_a_cancelled_call_leaves_the_store_well(store: Store) -> None:
    seed = random.Random(7)
    for position in range(1, 31):
        task = asyncio.create_task(store.log.append([entry(position)]))
        await asyncio.wait({task}, timeout=seed.random() * 0.006)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(20):
        await store.log.append([entry(position) for position in range(1, 31)])
        assert await store.log.count() == 30


async def test_many_at_once_never_share_a_job(store: Store) -> None:
    """Batches that overlap, in different orders, from several connections: no deadlock, one Go a job and attempt."""
    seed = random.Random(7)
    jobs = [job(f"j-{number}") for number in range(40)]

    async def mailer(owner: str) -> list[tuple[str, int]]:
        ledger: Claims = store.ledger("hold")
        got = []
        for attempt in (1, 2, 3):
            order = seed.sample(jobs, len(jobs))
            answers: Sequence[Answer] = await ledger.claim([Claim(one, attempt, owner, 1e9) for one in order], 1.0)
            mine = [(one, answer.attempt) for one, answer in zip(order, answers, strict=True) if isinstance(answer, Go)]
            settlements = [Settlement(one, number, owner, 1.0, Retry("later")) for one, number in mine]
            assert all(await ledger.settle(settlements, 1.0))
            got += [(one.id, number) for one, number in mine]
        return got

    got = [pair for pairs in await asyncio.gather(*(mailer(f"o-{index}") for index in range(4))) for pair in pairs]
    assert len(got) == len(set(got))
    for one in jobs:
        numbers = [number for id, number in got if id == one.id]
        assert 1 in numbers  # a third attempt may come to a job before anyone's second

"""The store's tests run on its fakes, on SQLite and on Postgres.

`CHOPAR_TEST_POSTGRES_URL` names a server on which databases may be created; without it a private one is started. Where
Postgres is not installed its tests are skipped: it is a choice of who runs Chopar, SQLite is not.
"""

import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol, cast

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from activity.claims import Policy
from store.interfaces import Claims, Decisions, JobList, Log, Schedule, Wishes
from store.opening import Store, open_store
from tests.store import server
from tests.store.fakes import MemoryLedger, MemoryLog

# Taken out of the environment: Chopar refuses a CHOPAR_ variable that it does not know.
GIVEN: Final = os.environ.pop("CHOPAR_TEST_POSTGRES_URL", "")


class FullLedger(Claims, Wishes, Decisions, Protocol):
    """All that changes the ledger."""


MakeLedger = Callable[[Policy], tuple[FullLedger, JobList]]
Kept = tuple[FullLedger, JobList, Schedule]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a Postgres server, without a database."""
    programs = server.programs()
    if GIVEN:
        yield GIVEN.rstrip("/")
    elif programs is None:
        pytest.skip("Postgres is not installed")
    else:
        with server.made(programs) as made, server.up(made):
            yield made.url


@pytest.fixture
async def postgres_url(postgres_server: str) -> AsyncIterator[str]:
    """URL of a new, empty database."""
    name = f"chopar_{uuid.uuid4().hex}"
    address = make_url(f"{postgres_server}/postgres").set(drivername="postgresql+asyncpg")
    engine = create_async_engine(address, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f"CREATE DATABASE {name}"))
            yield f"{postgres_server}/{name}"
            await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        await engine.dispose()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of a file that is not there yet."""
    return f"sqlite:///{tmp_path / 'chopar.db'}"


def _value(request: pytest.FixtureRequest, name: str) -> Any:
    return request.getfixturevalue(name)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """URL of an empty store, on each database."""
    return cast(str, _value(request, f"{request.param}_url"))


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """An open store, on each database."""
    async with open_store(url) as opened:
        yield opened


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def any_url(request: pytest.FixtureRequest) -> str | None:
    """URL of an empty store, on each database, and None for the fakes."""
    return None if request.param == "memory" else cast(str, _value(request, f"{request.param}_url"))


@pytest.fixture
async def any_store(any_url: str | None) -> AsyncIterator[Store | None]:
    """An open store on each database, and None for the fakes."""
    if any_url is None:
        yield None
    else:
        async with open_store(any_url) as opened:
            yield opened


@pytest.fixture
def log(any_store: Store | None) -> Log:
    """An empty activity log of each kind."""
    return MemoryLog() if any_store is None else any_store.log


@pytest.fixture
def make_ledger(any_store: Store | None) -> MakeLedger:
    """Makes an empty ledger of each kind, and its read side."""

    def make(policy: Policy) -> tuple[FullLedger, JobList]:
        if any_store is None:
            fake = MemoryLedger(policy)
            return fake, fake
        return any_store.ledger(policy), any_store.jobs

    return make


@pytest.fixture
def kept(any_store: Store | None) -> Kept:
    """An empty ledger of each kind with `resend`, its read side, and its schedule."""
    if any_store is None:
        fake = MemoryLedger("resend")
        return fake, fake, fake
    return any_store.ledger("resend"), any_store.jobs, any_store.schedule

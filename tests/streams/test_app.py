"""The apps as they are put together, without a broker: each agent runs in Faust's test context."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import faust
import pytest
from aiohttp.test_utils import TestClient, TestServer

from activity import names
from activity.chunk import Chunk
from activity.events import log_value
from activity.order import decode
from activity.sequencing import Pair
from activity.settings import Settings, parse_settings
from store.log import Entry
from streams.app import App, create_app, create_notify_app
from streams.outputs import Outputs
from streams.parts import JobsPart, StorePart
from streams.topics import partition_of
from streams.web import Web
from tables.users import Users
from tests.activity.examples import Record, chunk, value
from tests.processes import ROOT

Batches = Mapping[tuple[str, int], Iterable[Pair]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    given = {
        "CHOPAR_KAFKA_URL": "kafka://127.0.0.1:1",
        "CHOPAR_DATA_DIR": str(tmp_path),
        "CHOPAR_RULES": str(ROOT / "rules.toml"),
        "CHOPAR_TEMPLATES": str(ROOT / "templates"),
    }
    return parse_settings(given)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, Pair]]:
    """What went to Kafka: topic, partition, pair."""
    found: list[tuple[str, int, Pair]] = []

    async def once(self: Outputs, batches: Batches) -> list[tuple[int, int]]:
        found.extend((topic, partition, pair) for (topic, partition), pairs in batches.items() for pair in pairs)
        return [(0, len(list(pairs)) - 1) for pairs in batches.values()]

    monkeypatch.setattr(Outputs, "_once", once)
    return found


async def done(app: App, name: str, given: Chunk) -> None:
    """Have the agent work on one chunk, as Faust would, until it is done."""
    try:
        async with app.agents[name].test_context() as agent, asyncio.timeout(30):
            await agent.put(given)
            while not given.finished:  # noqa: ASYNC110  (what is waited for is a flag)
                await asyncio.sleep(0.01)
    finally:
        cast(Any, app.consumer)._thread.thread_loop.close()  # it was never started, so nobody stops it


def user_of(partition: int) -> str:
    return next(f"u-{n}" for n in range(1000) if partition_of(f"u-{n}".encode(), 8) == partition)


async def test_the_sequencer_sends_then_writes_and_moves_what_lies_on_the_wrong_partition(
    settings: Settings, sent: list[tuple[str, int, Pair]]
) -> None:
    app = create_app(settings)
    ours, strange = user_of(3), user_of(5)
    records = [
        Record(ours.encode(), value(subject=ours)),
        Record(strange.encode(), value(subject=strange)),
        Record(None, value(subject=ours, id="e-2")),
        Record(b"k", b"junk"),
    ]
    given = chunk(*records, partition=3)
    await done(app, "sequencer", given)
    assert [(topic, partition, pair[0]) for topic, partition, pair in sent] == [
        (names.LOG, 3, ours.encode()),
        (names.DEAD, 3, b"k"),
        (names.EVENTS, 5, strange.encode()),
        (names.EVENTS, 3, ours.encode()),
        (names.USERS_CHANGELOG, 3, ours.encode()),
    ]
    state = cast(Users, app.tables["users"]).partition(3).get(ours.encode())
    assert state is not None
    assert decode(state).position == 1


async def test_the_archiver_writes_the_store(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    entries: list[Entry] = []

    async def append(self: StorePart, given: list[Entry]) -> list[Entry]:
        entries.extend(given)
        return []

    monkeypatch.setattr(StorePart, "append", append)
    given = chunk(Record(b"u-1", log_value(value(), 1, "logged", 0.0)), topic=names.LOG)
    await done(create_app(settings), "archiver", given)
    assert [entry.event_id for entry in entries] == ["e-1"]


async def test_the_notifier_publishes_what_the_shops_rules_say(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[Any] = []

    async def publish(self: JobsPart, given: list[Any]) -> None:
        jobs.extend(given)

    monkeypatch.setattr(JobsPart, "publish", publish)
    event = value(type="user.signed_up", data={"email": "ann@shop.example", "name": "Ann"})
    given = chunk(Record(b"u-1", log_value(event, 1, "logged", 0.0)), topic=names.LOG)
    await done(create_notify_app(settings), "notifier", given)
    assert [(job.rule, job.to) for job in jobs] == [("welcome", "ann@shop.example")]


def test_kafkas_own_partitions() -> None:
    """Figures of `org.apache.kafka.common.utils.Utils.murmur2`, from Kafka's UtilsTest."""
    murmur2 = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536, b"abc": 479470107}
    for key, hashed in murmur2.items():
        assert partition_of(key, 2**31) == hashed & 0x7FFFFFFF


async def test_the_topics_and_the_table_have_the_names_of_the_contract(settings: Settings) -> None:
    app = create_app(settings)
    assert {topic: agent for agent in app.agents.values() for topic in agent.get_topic_names()} == {
        names.EVENTS: app.agents["sequencer"],
        names.LOG: app.agents["archiver"],
        names.DEAD: app.agents["desk"],
    }
    assert cast(Users, app.tables["users"]).changelog_topic_name == names.USERS_CHANGELOG
    assert (app.conf.id, create_notify_app(settings).conf.id) == ("chopar", "chopar-notify")


async def test_a_recovery_is_watched_from_the_start_on(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = asyncio.Event()

    class Watch:
        def __init__(self, app: App) -> None:
            self.app = app

        async def look(self) -> None:
            looked.set()

    async def nothing(self: faust.App) -> None:
        """Faust's own start, which makes a consumer."""

    monkeypatch.setattr("streams.app.RecoveryWatch", Watch)
    monkeypatch.setattr(faust.App, "on_start", nothing)
    app: Any = create_app(settings)
    await app.on_start()
    try:
        await asyncio.wait_for(looked.wait(), 30)
    finally:
        app._stopped.set()
        await asyncio.gather(*app._futures)


@asynccontextmanager
async def console(app: App) -> AsyncIterator[Any]:
    """Requests to the app's web server, as it is before the worker has joined."""
    async with AsyncExitStack() as stack:
        await app._open_parts(stack)
        yield await stack.enter_async_context(TestClient(TestServer(cast(Web, app.web)._make())))


async def test_fausts_own_pages_are_closed(settings: Settings) -> None:
    async with console(create_app(settings)) as client:
        for path in ("/table", "/table/users", "/router", "/router/users", "/graph", "/stats"):
            assert (await client.get(path)).status == 404


async def test_before_a_worker_has_joined_it_is_alive_and_tells_what_the_store_knows(settings: Settings) -> None:
    async with console(create_app(settings)) as client:
        assert (await client.get("/healthz")).status == 200
        ready = await client.get("/readyz")
        checks = {"kafka": "ok", "table": "partitions are moving between the workers", "store": "ok"}
        assert (ready.status, await ready.json()) == (503, {"ready": False, "checks": checks})
        for path in ("/api/tables", "/api/tables/users", "/api/tables/users/u-1"):
            told = await client.get(path)
            assert (told.status, told.headers["Retry-After"]) == (503, "1")
        assert (await client.get("/api/users/u-1/activity")).status == 200
        timeline = await (await client.get("/api/users/u-1/timeline")).json()
        assert (timeline["entries"], timeline["waiting"]) == ([], None)
        assert timeline["problems"] == ["what waits for u-1 can't be told now: partitions are moving between the workers"]
        assert "chopar_events_read" in await (await client.get("/metrics")).text()

"""The table over all workers: three workers in one process, each behind a port of its own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from activity import order
from activity.order import State
from console import peers
from console.access import Access
from console.peers import open_peers
from console.problems import later
from console.server import create_application
from console.tables import Share, Table, table_routes
from tables.states import MemoryShelf, States
from tests.activity.examples import event
from tests.console.serving import problem
from tests.console.test_users import get

PARTITIONS = 6
USERS = [f"u-{number}" for number in range(30)] + ["a/b c", "жасур", "%2F", "a?b#c", "<script>", "\\..", "..."]


def partition_of(user: bytes) -> int:
    return sum(user) % PARTITIONS


class Worker:
    """A worker that has every third partition."""

    def __init__(self, number: int) -> None:
        self.number, self.url, self.shelf = number, "", MemoryShelf()
        self.moving, self.urls = False, list[str]()
        self.mine = tuple(range(number, PARTITIONS, 3))

    def shares(self) -> Sequence[Share]:
        if self.moving:
            raise later("partitions are moving", 3)
        return [Share(url, tuple(range(n, PARTITIONS, 3)), n == self.number) for n, url in enumerate(self.urls)]

    def partition_of(self, user: bytes) -> int:
        return partition_of(user)

    def states(self, partition: int) -> States | None:
        return self.shelf.open(partition) if partition in self.mine else None


class Fleet(list[Worker]):
    """Three workers, and requests to the first."""

    client: Any
    servers: list[TestServer]


@asynccontextmanager
async def fleet(token: str | None = None, tokens: Sequence[str | None] | None = None) -> AsyncIterator[Fleet]:
    found = Fleet(map(Worker, range(3)))
    async with AsyncExitStack() as stack:
        found.servers = []
        for worker, its_token in zip(found, tokens or [token] * 3, strict=True):
            asked = await stack.enter_async_context(open_peers(its_token))
            table = Table("users", worker, asked, 5.0)
            server = TestServer(create_application(table_routes({"users": table}), Access(its_token)))
            await stack.enter_async_context(server)
            found.servers.append(server)
            worker.url = str(server.make_url("")).rstrip("/")
        for worker in found:
            worker.urls = [one.url for one in found]
        for user in USERS:
            state, _ = order.advance(State(), event(2, user=user), 7.0)
            key = user.encode()
            found[partition_of(key) % 3].shelf.open(partition_of(key)).put({key: order.encode(state, 41)}, 0)
        found.client = await stack.enter_async_context(TestClient(found.servers[0]))
        yield found


async def listed(client: Any, limit: int = 5) -> tuple[list[str], list[dict[str, Any]]]:
    """All users page by page, and what the last page says of the workers."""
    found, cursor = list[str](), ""
    while True:
        page = await get(client, f"/api/tables/users?limit={limit}{cursor}")
        found += [entry["user"] for entry in page["entries"]]
        if page["next"] is None:
            return found, page["workers"]
        cursor = f"&cursor={page['next']}"


@pytest.mark.parametrize("token", [None, "t"])
async def test_whoever_is_asked_answers_for_all(token: str | None) -> None:
    async with fleet(token) as workers:
        for limit in (1, 5, 500):
            assert (await listed(workers.client, limit))[0] == sorted(USERS, key=str.encode)
        for user in USERS:
            entry = await get(workers.client, f"/api/tables/users/{quote(user, safe='')}")
            assert (entry["state"]["user"], entry["worker"]) == (user, workers[partition_of(user.encode()) % 3].url)
            assert entry["state"]["sources"][0]["waiting"][0]["why"] == "1 has not come"
        (table,) = (await get(workers.client, "/api/tables"))["tables"]
        assert (table["partitions"], [len(one["partitions"]) for one in table["workers"]]) == (6, [2, 2, 2])


async def test_only_what_is_here() -> None:
    async with fleet() as workers:
        page = await get(workers.client, "/api/tables/users?here=true&limit=500")
        assert {entry["partition"] % 3 for entry in page["entries"]} == {0}
        elsewhere = next(user for user in USERS if partition_of(user.encode()) == 1)
        told = await problem(await workers.client.get(f"/api/tables/users/{elsewhere}?here=true"))
        assert told == (503, None, "partition 1 is not here")


async def test_an_owner_that_is_away_is_named_and_not_hidden() -> None:
    async with fleet() as workers:
        await workers.servers[1].close()
        users, answers = await listed(workers.client)
        assert users == sorted((user for user in USERS if partition_of(user.encode()) % 3 != 1), key=str.encode)
        assert [(one["worker"], one["problem"] is None) for one in answers] == [
            (worker.url, worker.number != 1) for worker in workers
        ]
        lost = next(user for user in USERS if partition_of(user.encode()) == 1)
        status, _, detail = await problem(await workers.client.get(f"/api/tables/users/{lost}"))
        assert (status, f"{workers[1].url} has partition 1 and does not answer" in detail) == (503, True)


async def test_an_owner_that_is_slow_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "TIMEOUT", 0.3)
    asked = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with fleet() as workers:
        application = web.Application()
        application.router.add_get("/{path:.*}", slow)
        async with TestServer(application, shutdown_timeout=0.1) as server:
            workers[0].urls[2] = str(server.make_url("")).rstrip("/")
            _, answers = await listed(workers.client, 500)
            assert asked.is_set()
            assert [one["problem"] for one in answers] == [None, None, "no answer within 0.3 s"]


async def test_while_partitions_move_nothing_is_told() -> None:
    """Wherever they move: here, at an owner, or between the two answers."""
    async with fleet() as workers:
        elsewhere = next(user for user in USERS if partition_of(user.encode()) == 1)
        paths = ("/api/tables/users", f"/api/tables/users/{elsewhere}")
        for worker in (workers[0], workers[1]):
            worker.moving = True
            for path in paths:
                answer = await workers.client.get(path)
                assert (answer.status, answer.headers["Retry-After"]) == (503, "3")
            worker.moving = False
        workers[1].mine = (1,)  # 4 has just gone
        for path in ("/api/tables/users", *(f"/api/tables/users/{user}" for user in USERS if partition_of(user.encode()) == 4)):
            assert (await workers.client.get(quote(path))).status == 503


async def test_an_owner_that_says_it_has_other_partitions_is_not_believed() -> None:
    async with fleet() as workers:
        workers[1].urls = [workers[0].url, workers[2].url, workers[1].url]
        workers[1].number = 2  # it has 2 and 5 now, we were told 1 and 4
        workers[1].mine = (2, 5)
        assert (await problem(await workers.client.get("/api/tables/users")))[0] == 503


async def test_an_owner_with_another_token_is_named() -> None:
    async with fleet(tokens=[None, "t", None]) as workers:
        _, answers = await listed(workers.client, 500)
        assert answers[1]["problem"] is None, "it lets anybody read"
    async with fleet(tokens=["a", "b", "a"]) as workers:
        _, answers = await listed(workers.client, 500)
        assert answers[1]["problem"] == "it answered 401; has it the same CHOPAR_API_TOKEN?"


async def test_what_is_no_worker_of_ours_is_named() -> None:
    async def other(request: web.Request) -> web.Response:
        return web.Response(text="<h1>nginx</h1>")

    application = web.Application()
    application.router.add_get("/{path:.*}", other)
    async with fleet() as workers, TestServer(application) as server:
        workers[0].urls[1] = str(server.make_url(""))
        _, answers = await listed(workers.client, 500)
        assert answers[1]["problem"] == "what it answered is not understood; is it of another version?"


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/api/tables/other", 404, "table"),
        ("/api/tables/other/u-1", 404, "table"),
        ("/api/tables/users/u-99", 404, "key"),
        ("/api/tables/users/u-98", 404, "key"),
        ("/api/tables/users/u-97", 404, "key"),
        ("/api/tables/users?cursor=%3Cscript%3E", 400, "cursor"),
        ("/api/tables/users?limit=501", 400, "limit"),
        ("/api/tables/users?here=maybe", 400, "here"),
    ],
)
async def test_what_is_wrong_is_named(path: str, status: int, field: str) -> None:
    async with fleet() as workers:
        assert (await problem(await workers.client.get(path)))[:2] == (status, field)

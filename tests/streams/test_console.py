"""Two real workers: whoever is asked answers for both, says who is away, and never tells what it can't know."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from tests.installation import Installation, send
from tests.processes import WORKER, Process
from tests.streams.test_outage import events

TOKEN = "t0ken"


class Asked:
    """A worker's web server."""

    def __init__(self, session: aiohttp.ClientSession, worker: Process) -> None:
        self._session = session
        self.url = f"http://127.0.0.1:{worker.env['CHOPAR_WEB_PORT']}"

    async def get(self, *path: str, token: str = TOKEN, **query: str) -> tuple[int, Any]:
        url = URL(self.url + "".join(f"/{quote(part, safe='')}" for part in path), encoded=True).with_query(query)
        async with self._session.get(url, headers={"Authorization": f"Bearer {token}"} if token else {}) as response:
            return response.status, await response.json(content_type=None)

    async def page(self, path: str) -> str:
        async with self._session.get(self.url + path, headers={"Accept": "text/html"}) as response:
            return await response.text()

    async def settled(self, *path: str, **query: str) -> Any:
        """The answer, once partitions have stopped moving."""
        async with asyncio.timeout(120):
            while True:
                status, answer = await self.get(*path, **query)
                if status != 503:
                    assert status == 200, answer
                    return answer
                await asyncio.sleep(0.3)


@asynccontextmanager
async def asked(*workers: Process) -> AsyncIterator[list[Asked]]:
    async with aiohttp.ClientSession() as session:
        yield [Asked(session, worker) for worker in workers]


async def pages(worker: Asked, limit: int, run: str) -> list[dict[str, Any]]:
    """All entries of this run's users, page by page."""
    found: list[dict[str, Any]] = []
    query = {"limit": str(limit)}
    while True:
        page = await worker.settled("api", "tables", "users", **query)
        assert [one["problem"] for one in page["workers"]] == [None] * len(page["workers"])
        found += page["entries"]
        if page["next"] is None:
            return [entry for entry in found if entry["user"].startswith(run)]
        query["cursor"] = page["next"]


@asynccontextmanager
async def watched(worker: Asked, users: list[str]) -> AsyncIterator[None]:
    """Meanwhile `worker` is asked for one user after the other: whatever moves, it says how it is, or that it can't tell."""
    answers: list[tuple[int, Any]] = []

    async def watch() -> None:
        while True:
            for user in users:
                status, answer = await worker.get("api", "tables", "users", user)
                answers.append((status, answer["state"]["next_position"] if status == 200 else None))

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
    assert set(answers) <= {(200, 4), (503, None)}
    assert (200, 4) in answers


async def test_any_worker_answers_for_all(kafka_url: str, tmp_path: Path) -> None:
    run = f"c{uuid.uuid4().hex[:8]}"
    users = [f"{run}-{n}" for n in range(20)] + [f"{run}-a/b c", f"{run}-жасур", f"{run}-%2F?#&<script>", f"{run}-\\.."]
    ours = Installation(tmp_path, kafka_url, CHOPAR_API_TOKEN=TOKEN)
    one, other = ours.process(WORKER, "one"), ours.process(WORKER, "other")
    async with ours.running(one), asked(one, other) as (first, second):
        await send(kafka_url, events(users, 1, 3), rate=1000)
        await ours.until(lambda: ours.stored(run) == 3 * len(users), "all stored")
        await first.settled("api", "tables")
        async with watched(first, users):
            async with ours.running(other):
                owners = await both_tell(first, second, users, run)
                await until_told(first, lambda page: first.url in page and second.url in page and "is away" not in page)
                other.kill()
                # its partitions are its own until the group has noticed
                await until_told(first, lambda page: f"worker {second.url} is away" in page or second.url not in page)
            status, page = await first.get("api", "tables", "users", limit="500")
            if status == 200:
                assert {answer["worker"] for answer in page["workers"] if answer["problem"]} == {second.url}
            else:
                assert status == 503
            lost = next(user for user, owner in owners.items() if owner == second.url)
            entry = await first.settled("api", "tables", "users", lost)
            assert (entry["worker"], entry["state"]["next_position"]) == (first.url, 4)
        assert [entry["user"] for entry in await pages(first, 500, run)] == sorted(users, key=str.encode)


async def until_told(worker: Asked, right: Callable[[str], bool]) -> None:
    """Until its overview is right."""
    async with asyncio.timeout(120):
        while not right(await worker.page("/")):  # noqa: ASYNC110  (another process tells it)
            await asyncio.sleep(0.3)


async def both_tell(first: Asked, second: Asked, users: list[str], run: str) -> dict[str, str]:
    """Each of them tells all there is; gives who has whom."""
    owners: dict[str, str] = {}
    (table,) = (await first.settled("api", "tables"))["tables"]
    assert (table["name"], table["partitions"]) == ("users", 8)
    assert sorted(number for worker in table["workers"] for number in worker["partitions"]) == list(range(8))
    assert {worker["worker"] for worker in table["workers"] if worker["partitions"]} == {first.url, second.url}
    for worker in (first, second):
        assert [entry["user"] for entry in await pages(worker, 7, run)] == sorted(users, key=str.encode)
        for user in users:
            entry = await worker.settled("api", "tables", "users", user)
            assert (entry["state"]["user"], entry["state"]["next_position"]) == (user, 4)
            assert [source["next_sequence"] for source in entry["state"]["sources"]] == [4]
            owners[user] = entry["worker"]
            timeline = await worker.settled("api", "users", user, "timeline")
            assert ([event["position"] for event in timeline["entries"]], timeline["problems"]) == ([3, 2, 1], [])
        assert set(owners.values()) == {first.url, second.url}
        assert (await worker.get("api", "tables", "users", f"{run}-nobody"))[0] == 404
    return owners

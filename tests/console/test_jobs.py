"""The jobs over HTTP."""

from typing import Any

import pytest
from msgspec.structs import replace

from activity.claims import Claim
from activity.outcomes import Sent
from store.ledger import Settlement
from tests.console.serving import problem, serving
from tests.console.test_users import get
from tests.console.worlds import ADDRESS, USER, World
from tests.store.asking import timed
from tests.store.orders import job as order


async def test_page_by_page_newest_first() -> None:
    world = World()
    for number in range(7):
        await world.ledger.claim([Claim(order(f"j-{number}", f"u-{number % 2}"), 1, "m", 60.0)], float(number))
    async with serving(world.routes()) as client:
        found, cursor = list[str](), ""
        while True:
            page = await get(client, f"/api/jobs?limit=3{cursor}")
            found += [job["id"] for job in page["jobs"]]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        assert found == [f"j-{number}" for number in reversed(range(7))]
        page = await get(client, "/api/jobs?user=u-1&state=sending")
        assert [job["id"] for job in page["jobs"]] == ["j-5", "j-3", "j-1"]
        assert page["counts"] == dict.fromkeys(page["counts"], 0) | {"sending": 7}


async def test_those_that_wait_for_their_time() -> None:
    world = World()
    for id, due in (("j-1", 900.0), ("j-2", 500.0)):
        await world.ledger.claim([Claim(timed(id, due), 1, "m", 60.0)], 1.0)
    async with serving(world.routes()) as client:
        page = await get(client, "/api/jobs?state=scheduled")
        assert [(job["id"], job["due"]) for job in page["jobs"]] == [
            ("j-2", "1970-01-01T00:08:20.000Z"),
            ("j-1", "1970-01-01T00:15:00.000Z"),
        ]


async def test_a_job_and_each_attempt() -> None:
    world = World()
    job = await world.told()
    async with serving(world.routes()) as client:
        found = await get(client, f"/api/jobs/{job.id}")
    shown: dict[str, Any] = {name: found["job"][name] for name in ("id", "state", "to", "user", "class", "event")}
    event = {"source": "/web", "id": "e-1"}
    wanted = {"id": job.id, "state": "sent", "to": ADDRESS, "user": USER, "class": "transactional", "event": event}
    assert shown == wanted
    assert [(one["number"], one["outcome"]["type"]) for one in found["attempts"]] == [(1, "retry"), (2, "sent")]


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/api/jobs/j-9", 404, "id"),
        ("/api/jobs?state=lost", 400, "state"),
        ("/api/jobs?cursor=j-9", 404, "cursor"),
        ("/api/jobs?limit=1e3", 400, "limit"),
    ],
)
async def test_what_is_wrong_is_named(path: str, status: int, field: str) -> None:
    async with serving(World().routes()) as client:
        assert (await problem(await client.get(path)))[:2] == (status, field)


async def test_a_job_that_was_cancelled_unheard_of_has_no_address_to_mask() -> None:
    world = World()
    await world.ledger.cancel("j-1", 1.0)
    async with serving(world.routes(), "t") as client:
        assert (await get(client, "/api/jobs/j-1"))["job"]["to"] == ""


async def test_what_a_task_made_is_a_payload() -> None:
    world, job = World(), replace(order(), task="thumbnail")
    await world.ledger.claim([Claim(job, 1, "m", 60.0)], 1.0)
    await world.ledger.settle([Settlement(job, 1, "m", 1.0, Sent("", {"card": 4111}))], 2.0)
    async with serving(world.routes(), "t") as client:
        assert (await get(client, "/api/jobs/j-1"))["attempts"][0]["outcome"] == {"type": "sent", "reply": "", "value": None}

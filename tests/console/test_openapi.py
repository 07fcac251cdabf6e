"""The OpenAPI document against the real thing: requests that it allows are answered as it says, others are refused."""

import asyncio
import re
import threading
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from console.access import Access
from console.deadletters import letter_routes
from console.health import health_routes
from console.openapi import PATH, openapi_route
from console.peers import Peers
from console.routes import Call, Endpoint, NoQuery
from console.server import create_application
from console.tables import Table, table_routes
from tests.console.serving import bearer, serving
from tests.console.test_tables import PARTITIONS, Worker
from tests.console.worlds import World, text_of
from tests.rabbit.desks import MemoryDesk

ASCII = "t0ken"
"""The client of schemathesis writes other letters in a header in a way of its own."""


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A note."""

    text: str


async def keep(call: Call[NoQuery, Note]) -> Note:
    return call.body


NOTE = Endpoint("/api/notes", keep, "Keep a note.", Note, method="POST", body=Note, changes=True)


def routes(world: World) -> list[Any]:
    worker = Worker(0)
    worker.urls, worker.mine = ["http://here.example"], tuple(range(0, PARTITIONS, 3))
    tables = {"users": Table("users", worker, cast(Peers, None), 5.0)}
    desk = MemoryDesk()
    letters = letter_routes(desk.letters, desk.letters, desk.redelivery)
    found = [*world.routes(), *table_routes(tables), *letters, *health_routes({}), NOTE]
    return [*found, openapi_route(found)]


@pytest.fixture(scope="module")
def api() -> Iterator[Any]:
    """The document as a server gives it that runs in a thread: schemathesis asks from outside of any event loop."""
    loop, ready, stop, urls = asyncio.new_event_loop(), threading.Event(), asyncio.Event(), list[str]()

    async def serve() -> None:
        world = World()
        await world.told()
        runner = web.AppRunner(
            create_application(routes(world), Access(ASCII)), max_line_size=1 << 16
        )  # aiohttp refuses longer ones by itself
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(30)
    try:
        yield schemathesis.openapi.from_url(f"{urls[0]}{PATH}")
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


LETTER = "/api/dead-letters/{id}"
NAMING = (
    *("/api/jobs/{id}", "/api/tables/{table}", "/api/tables/{table}/{key}"),
    *(LETTER, *(f"{LETTER}/{part}" for part in ("trial", "replay", "discard", "undo", "edit"))),
)
"""Where the name of something is guessed in vain."""
CURSORS = ("/api/tables/{table}", "/api/dead-letters", "/api/users/{id}/timeline")
OPERATIONS = [(one.path, one.method) for one in routes(World()) if isinstance(one, Endpoint)]


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
@pytest.mark.parametrize("mode", GenerationMode)
def test_every_endpoint_is_as_the_document_says(api: Any, path: str, method: str, mode: GenerationMode) -> None:
    operation, answered = api[path][method], set[int]()
    cursor = path in CURSORS  # no schema says which texts are cursors of ours

    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: Any) -> None:
        answer = case.call_and_validate(headers=bearer(ASCII), excluded_checks=[positive_data_acceptance] if cursor else [])
        answered.add(answer.status_code)

    try:
        holds()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # nothing can be wrong about a request without parameters
        return
    wanted = {400} if mode is GenerationMode.NEGATIVE else {200, 404} if path in NAMING else {200}
    assert answered & wanted
    assert not answered & ({500} if mode is GenerationMode.NEGATIVE else {401, 500})


async def test_the_document_names_every_endpoint_and_is_what_openapi_3_1_asks_for() -> None:
    async with serving(routes(World())) as client:
        answer = await client.get(PATH)
        document = await answer.json()
    assert answer.content_type == "application/json"
    assert document["openapi"].startswith("3.1.")
    assert {(path, method.upper()) for path, methods in document["paths"].items() for method in methods} == set(OPERATIONS)
    names = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(set(names)) == len(names)
    assert document["paths"]["/api/notes"]["post"]["security"] == [{"token": []}]
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', text_of(document)))
    assert references == set(document["components"]["schemas"]), "each is there and used"
    parameters = {one["name"]: one for one in document["paths"]["/api/users/{id}/timeline"]["get"]["parameters"]}
    assert parameters["id"]["in"] == "path"
    assert parameters["from"]["schema"] == {"type": "string", "format": "date-time"}
    assert (parameters["limit"]["schema"]["default"], parameters["limit"]["schema"]["maximum"]) == (50, 500)

"""The console's application behind a port of this test's own, and requests to it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from console.access import Access
from console.problems import MEDIA_TYPE
from console.routes import Route
from console.server import create_application

TOKEN = "s3cret-tokén"


@asynccontextmanager
async def serving(routes: Iterable[Route], token: str | None = None, access: Access | None = None) -> AsyncIterator[Any]:
    """An aiohttp `TestClient` for an application with `routes`."""
    application = create_application(routes, access or Access(token))
    async with TestClient(TestServer(application)) as client:
        yield client


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def problem(response: ClientResponse) -> tuple[int, str | None, str]:
    """Status, field and detail of an answer that has to be problem+json."""
    assert response.content_type == MEDIA_TYPE, await response.text()
    told = msgspec.json.decode(await response.read())
    assert told["status"] == response.status
    assert told["title"]
    return response.status, told.get("field"), told["detail"]

"""`/healthz` and `/readyz`: whether the process is alive, and whether it is of use."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Literal, TypeAlias

import msgspec
from aiohttp import web

from console.routes import Call, Endpoint

Check: TypeAlias = Callable[[], Awaitable[str | None]]
"""Says what is wrong in a few words, with no address and no payload in it; None: all is well."""


class Alive(msgspec.Struct, frozen=True):
    """The event loop turns."""

    status: Literal["ok"] = "ok"


class Readiness(msgspec.Struct, frozen=True):
    """`checks`: `ok`, or what is wrong, by the name of what was looked at."""

    ready: bool
    checks: dict[str, str]


def health_routes(checks: Mapping[str, Check]) -> list[Endpoint]:
    """The two endpoints; a worker is ready when all of `checks` say so."""

    async def alive(call: Call[None, None]) -> Alive:
        return Alive()

    async def ready(call: Call[None, None]) -> web.Response:
        found = await readiness(checks)
        status = HTTPStatus.OK if found.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return web.Response(body=msgspec.json.encode(found), status=status, content_type="application/json")

    return [
        Endpoint("/healthz", alive, "Whether the process is alive.", Alive),
        Endpoint("/readyz", ready, "Whether it has recovered and is connected; 503 if not.", Readiness, problems=(503,)),
    ]


async def readiness(checks: Mapping[str, Check]) -> Readiness:
    """What the checks say."""
    said = {name: await check() for name, check in checks.items()}
    return Readiness(not any(said.values()), {name: problem or "ok" for name, problem in said.items()})

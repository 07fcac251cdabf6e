"""RabbitMQ's exchanges and bindings, from its management API: AMQP can't tell them. Works with RabbitMQ 3.10 and 4.x."""

import asyncio
import base64
from collections.abc import AsyncGenerator, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from activity.errors import Unreachable
from activity.settings import redact
from rabbit.link import connect
from rabbit.topology import EXCHANGES
from rabbit.wiring import Binding, Wiring, bound

SETTING: Final = "CHOPAR_RABBIT_MANAGEMENT_URL"
TIMEOUT: Final = 5.0
"""Seconds for one look."""
_PORTS: Final = {"amqp": ("http", 15672), "amqps": ("https", 15671)}


class Unseen(msgspec.Struct, frozen=True):
    """The management API can't be asked; `problem` says why, and what to do."""

    problem: str


class _Refused(Exception):
    """It answers something else; the text says what."""


class _Row(msgspec.Struct):
    source: str
    destination: str
    routing_key: str
    arguments: dict[str, Any]


def management_url(rabbit_url: str) -> str:
    """Where the API is if nobody says: on the same host at RabbitMQ's own port for it."""
    parsed = URL(rabbit_url)
    scheme, port = _PORTS[parsed.scheme]
    return str(URL.build(scheme=scheme, host=parsed.host or "", port=port))


async def watch_wiring(rabbit_url: str, url: str | None, interval: float) -> AsyncGenerator[Wiring | Unseen, None]:
    """What the broker has, every `interval` seconds, asked as the user and in the virtual host of `rabbit_url`.

    `url`: where the API is; None: `management_url`.
    """
    where = URL(url or management_url(rabbit_url))
    parsed = URL(rabbit_url)
    shown = base64.b64encode(f"{parsed.user or 'guest'}:{parsed.password or 'guest'}".encode()).decode()
    headers, timeout = {"Authorization": f"Basic {shown}"}, aiohttp.ClientTimeout(total=TIMEOUT)
    vhost = quote(parsed.path[1:] or "/", safe="")
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, trust_env=False) as session:
        api, cluster = _Api(session, where.with_user(None)), ""
        while True:
            try:
                cluster = cluster or await _cluster(rabbit_url)
                await api.check_cluster(cluster)
                yield await api.wiring(vhost)
            except Unreachable as error:  # RabbitMQ itself
                yield Unseen(str(error))
            except _Refused as refused:
                yield Unseen(f"{redact(str(where))} {refused}; {SETTING} says where it is")
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                problem = str(error) or type(error).__name__
                yield Unseen(f"{redact(str(where))} does not answer ({problem[:200]}); {SETTING} says where it is")
            await asyncio.sleep(interval)


class _Api:
    def __init__(self, session: aiohttp.ClientSession, where: URL) -> None:
        self._session, self._where = session, where

    async def check_cluster(self, name: str) -> None:
        """It may be another RabbitMQ's: then everything would seem to be missing."""
        found = await self._get("overview", dict[str, Any])
        if found is None or found.get("cluster_name") != name:
            told = "no RabbitMQ" if found is None else f"the RabbitMQ {found.get('cluster_name')}"
            raise _Refused(f"is {told}, not {name}")

    async def wiring(self, vhost: str) -> Wiring:
        parts = await asyncio.gather(*(self._exchange(f"exchanges/{vhost}/{quote(name, safe='')}") for name in EXCHANGES))
        kinds = {name: kind for name, (kind, _) in zip(EXCHANGES, parts, strict=True) if kind is not None}
        return Wiring(kinds, [binding for _, bindings in parts for binding in bindings])

    async def _exchange(self, path: str) -> tuple[str | None, Sequence[Binding]]:
        """Its type, None if there is no such exchange, and the bindings from it."""
        found = await self._get(path, dict[str, Any])
        rows = None if found is None else await self._get(f"{path}/bindings/source", list[_Row])
        if found is None or rows is None:
            return None, []
        return str(found["type"]), [bound(row.source, row.destination, row.routing_key, row.arguments) for row in rows]

    async def _get(self, path: str, kind: type[Any]) -> Any:
        """None: there is no such thing."""
        url = self._where.with_path(f"{self._where.path.rstrip('/')}/api/{path}", encoded=True)
        async with self._session.get(url, allow_redirects=False) as response:
            if response.status == HTTPStatus.NOT_FOUND:
                return None
            if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                raise _Refused("does not let the user of CHOPAR_RABBIT_URL look: it needs the tag `management`")
            if response.status != HTTPStatus.OK:
                raise _Refused(f"answered {response.status}")
            try:
                return msgspec.json.decode(await response.read(), type=kind)
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise _Refused("did not answer as RabbitMQ does") from None


async def _cluster(rabbit_url: str) -> str:
    """The name of the cluster that speaks AMQP."""
    connection = await connect(rabbit_url)
    try:
        transport = connection.transport
        return "" if transport is None else str(transport.connection.server_properties.get("cluster_name", ""))
    finally:
        await connection.close()

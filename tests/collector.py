"""An OpenTelemetry collector for tests: takes spans by OTLP over HTTP, as a real one does, and keeps them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")


class Seen(msgspec.Struct, frozen=True):
    """A span as it was exported. `links`: trace and span ids. `error`: whether its status says so."""

    service: str
    trace: str
    id: str
    parent: str
    name: str
    kind: str
    attributes: dict[str, Any]
    links: list[tuple[str, str]]
    error: bool
    start: int
    end: int


class Collector:
    """`spans` in the order of arrival; `bodies` as they came."""

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[Seen] = []
        self.bodies: list[bytes] = []
        self._arrived = asyncio.Condition()

    async def until(self, true: Callable[["Collector"], bool], what: str, within: float = 120.0) -> None:
        """Waits until it is true of what has arrived."""
        try:
            async with self._arrived, asyncio.timeout(within):
                await self._arrived.wait_for(lambda: true(self))
        except TimeoutError:
            told = "\n".join(f"{span.service} {span.trace} {span.name} {span.attributes}" for span in self.spans)
            raise AssertionError(f"not within {within} s: {what}\n{told}") from None

    def trace(self, id: str) -> list[Seen]:
        """Its spans, each after its parent."""
        return sorted((span for span in self.spans if span.trace == id), key=lambda span: span.start)

    async def take(self, request: web.Request) -> web.Response:
        """`POST /v1/traces`."""
        body = await request.read()
        found = list(_spans(otlp.ExportTraceServiceRequest.FromString(body)))
        async with self._arrived:
            self.bodies.append(body)
            self.spans += found
            self._arrived.notify_all()
        return web.Response(body=otlp.ExportTraceServiceResponse().SerializeToString(), content_type="application/x-protobuf")


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """One that listens on a port of its own."""
    collector, app = Collector(), web.Application(client_max_size=1 << 26)
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0]
        collector.url = f"http://{host}:{port}"
        yield collector
    finally:
        await runner.cleanup()


def _spans(request: Any) -> Iterator[Seen]:
    for resource in request.resource_spans:
        service = _attributes(resource.resource.attributes)["service.name"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Seen(
                    service=service,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    name=span.name,
                    kind=KINDS[span.kind],
                    attributes=_attributes(span.attributes),
                    links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                    error=span.status.code == 2,
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                )


def _attributes(found: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in found}

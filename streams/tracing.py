"""Tracing what the Faust side does: what goes around an agent's function. With tracing off that is given back as it is."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Protocol

from activity.chunk import Chunk
from activity.events import Headers
from rabbit.redelivery import Send
from rabbit.tracing import Tracing

Work = Callable[..., Awaitable[None]]
"""An agent's function: a chunk, and its parts by name."""


class SendEvent(Protocol):
    """Sends a record; what it gives is done once that is confirmed."""

    async def __call__(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()
    ) -> "asyncio.Future[object]":
        """See `chopar.delivery.Delivery.send`."""


def traced(work: Work, tracing: Tracing, group: str) -> Work:
    """`work` with a span around each chunk, and around each of its records whose trace is recorded. `group`: who reads it."""
    if tracing.spans is None:
        return work
    from streams.traces import ChunkTraces  # only here: it needs OpenTelemetry

    spans = tracing.spans

    @wraps(work)
    async def with_spans(chunk: Chunk, **parts: Any) -> None:
        traces = ChunkTraces(spans, chunk, group)
        with traces.open():
            await work(chunk, **traces.around(parts))

    return with_spans


def traced_replay(send: Send, tracing: Tracing) -> Send:
    """`send` with a span around each dead letter that is replayed and whose trace is recorded."""
    if tracing.spans is None:
        return send
    from streams.traces import with_span

    return with_span(send, tracing.spans)


def traced_events(send: SendEvent, tracing: Tracing) -> SendEvent:
    """`send` with a span around each event: one of its trace, or where it has none the first of a new one."""
    if tracing.spans is None:
        return send
    from streams.traces import with_span_each

    return with_span_each(send, tracing.spans)

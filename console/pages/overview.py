"""`/`, `/live` and `/brokers`: the whole at a glance, as it changes, and what the brokers say."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import msgspec
from aiohttp import web

from activity.events import rfc3339
from console.pages.findings import verdict
from console.pages.flow import flow
from console.pages.frame import Frame
from console.pages.queues import picture
from console.pages.rendering import render
from console.pages.snapshot import Snapshot
from console.problems import later
from console.routes import Call, NoQuery, Page
from rabbit.wiring import Wiring

Look = Callable[[], Awaitable[Snapshot]]
Change = Callable[[float], Awaitable[None]]
"""Returns when there is something new, or after so many seconds."""
QUIET: Final = 15.0
"""Seconds after which the stream says something even if nothing changed: whoever went away is noticed by it."""
CALM: Final = 1.0
"""Seconds between two news at least: what changes together is told together."""
MOST_LOOKERS: Final = 100
_STREAM: Final = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}


def overview_pages(frame: Frame, look: Look, change: Change) -> list[Page]:
    """The pages over what `look` sees."""
    lookers = _Lookers()

    async def overview(call: Call[NoQuery, None]) -> str:
        snapshot = await look()
        return frame.show("overview.html", call, "/", **_values(snapshot))

    async def live(call: Call[NoQuery, None]) -> web.StreamResponse:
        response = web.StreamResponse(headers=_STREAM)
        if call.request.method == "HEAD":
            return response
        with lookers.one(), suppress(ConnectionResetError):  # whoever looked has gone
            await response.prepare(call.request)
            while True:
                await response.write(lookers.event(await look()))
                await change(QUIET)
                await asyncio.sleep(CALM)
        return response

    async def brokers(call: Call[NoQuery, None]) -> str:
        snapshot = await look()
        wiring = snapshot.wiring if isinstance(snapshot.wiring, Wiring) else None
        drawn = picture(snapshot.queues, wiring)
        return frame.show("brokers.html", call, "/brokers", snapshot=snapshot, picture=drawn, wiring=wiring)

    return [Page("/", overview), Page("/live", live), Page("/brokers", brokers)]


class _Lookers:
    """Those who look at `/live`. What one sees the others see too, so it is written once for all."""

    def __init__(self) -> None:
        self._count = 0
        self._seen: Snapshot | None = None
        self._event = b""

    @contextmanager
    def one(self) -> Iterator[None]:
        """One more. Raises Problem if there are too many: it needs no token, and each keeps a connection."""
        if self._count >= MOST_LOOKERS:
            raise later("too many look at it as it changes; the page itself can be loaded again", int(QUIET))
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1

    def event(self, snapshot: Snapshot) -> bytes:
        """The changed part of the overview as a JSON string: HTML has newlines, an event's line has not."""
        snapshot = msgspec.structs.replace(snapshot, now=float(int(snapshot.now)))
        if snapshot != self._seen:
            shown = render("overview_live.html", **_values(snapshot))
            self._seen, self._event = snapshot, b"data: " + msgspec.json.encode(shown) + b"\n\n"
        return self._event


def _values(snapshot: Snapshot) -> dict[str, object]:
    audit = None if snapshot.books is None else snapshot.books.audit
    return {
        "snapshot": snapshot,
        "verdict": verdict(snapshot),
        "flow": flow(snapshot),
        "now": rfc3339(snapshot.now),
        "audited": None if audit is None else rfc3339(audit.at),
    }

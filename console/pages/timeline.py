"""`/users/{id}`: why a user got a mail or not."""

from typing import Final

import msgspec
from aiohttp import web

from activity.settings import TRACE_ID
from console.pages.frame import Frame
from console.pages.rendering import quoted
from console.routes import Call, Cursor, Page
from console.timeline import TimelineQuery, Timelines, shown_to

EVENTS: Final = 25
"""Entries of a page."""


class FindQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was typed into the search field."""

    id: str


class TimelinePageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`cursor`: what comes after the page before."""

    cursor: Cursor | None = None


def timeline_pages(frame: Frame, timelines: Timelines, trace_url: str | None) -> list[Page]:
    """The pages over store and table. `trace_url`: see `Settings`."""

    def trace_link(trace_id: str) -> str | None:
        return None if trace_url is None else trace_url.replace(TRACE_ID, trace_id)

    async def find(call: Call[FindQuery, None]) -> web.Response:
        return web.Response(status=303, headers={"Location": f"/users/{quoted(call.query.id.strip())}"})

    async def timeline(call: Call[TimelinePageQuery, None]) -> str:
        found = await timelines.read(call.path["id"], TimelineQuery(limit=EVENTS, cursor=call.query.cursor))
        shown = shown_to(found, trusted=call.trusted)
        paged = call.query.cursor is not None
        return frame.show("timeline.html", call, "", timeline=shown, paged=paged, trace_link=trace_link)

    return [Page("/users", find, query=FindQuery), Page("/users/{id}", timeline, query=TimelinePageQuery)]

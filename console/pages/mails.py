"""`/users/{id}` and `/jobs`: why a user got a mail or not, and the mails."""

from typing import Final

import msgspec
from aiohttp import web
from msgspec.structs import replace

from activity.settings import TRACE_ID
from activity.timeline import attempt_story
from console.jobs import JobsQuery, job_view, list_page
from console.masking import mask_text
from console.pages.frame import Frame
from console.pages.rendering import quoted
from console.problems import not_found
from console.routes import Call, Cursor, NoQuery, Page
from console.timeline import TimelineQuery, Timelines, shown_to
from store.interfaces import JobList

EVENTS: Final = 25
"""Entries of a page."""


class FindQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was typed into the search field."""

    id: str


class TimelinePageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`cursor`: what comes after the page before."""

    cursor: Cursor | None = None


def mail_pages(frame: Frame, timelines: Timelines, jobs: JobList, trace_url: str | None) -> list[Page]:
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

    async def list_jobs(call: Call[JobsQuery, None]) -> str:
        page = await list_page(jobs, call.query, shown=call.trusted)
        return frame.show("jobs.html", call, "/jobs", page=page, state=call.query.state, user=call.query.user)

    async def show_job(call: Call[NoQuery, None]) -> str:
        found = await jobs.job(call.path["id"])
        if found is None:
            raise not_found("there is no such job in the ledger; it may still wait on its queue", "id")
        attempts = [attempt_story(row) for row in found.attempts]
        if not call.trusted:
            attempts = [replace(one, words=mask_text(one.words)) for one in attempts]
        return frame.show("job.html", call, "/jobs", job=job_view(found.job, shown=call.trusted), attempts=attempts)

    return [
        Page("/users", find, query=FindQuery),
        Page("/users/{id}", timeline, query=TimelinePageQuery),
        Page("/jobs", list_jobs, query=JobsQuery),
        Page("/jobs/{id}", show_job),
    ]

"""All pages of the console."""

from typing import Protocol

import msgspec

from console.access import Access
from console.pages.assets import asset_pages
from console.pages.bulk import bulk_pages
from console.pages.desk import desk_pages
from console.pages.frame import Frame
from console.pages.jobs import job_pages
from console.pages.overview import Change, Look, overview_pages
from console.pages.runs import Runs
from console.pages.timeline import timeline_pages
from console.routes import Page
from console.timeline import Timelines
from rabbit.deciding import Decider
from rabbit.redelivery import Redelivery
from store.interfaces import Desk, JobList, LetterList


class Letters(LetterList, Desk, Protocol):
    """The desk: looking and acting."""


class Pages(msgspec.Struct, frozen=True):
    """What the pages look into. `look` sees everything at once, `change` tells when that is new;
    `runs` has what goes on. `trace_url`: see `Settings`."""

    timelines: Timelines
    jobs: JobList
    letters: Letters
    redelivery: Redelivery
    look: Look
    change: Change
    runs: Runs
    decider: Decider
    trace_url: str | None = None


def page_routes(parts: Pages, access: Access) -> list[Page]:
    """The pages over their parts."""
    frame = Frame(access.has_token)
    return [
        *overview_pages(frame, parts.look, parts.change),
        *timeline_pages(frame, parts.timelines, parts.trace_url),
        *job_pages(frame, parts.jobs, parts.decider),
        *bulk_pages(frame, parts.letters, parts.letters, parts.redelivery, parts.runs),
        *desk_pages(frame, parts.letters, parts.letters, parts.redelivery),
        *asset_pages(),
    ]

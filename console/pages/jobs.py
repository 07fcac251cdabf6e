"""`/jobs`: the mails, and what a person says of one of which nobody knows what came."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from msgspec.structs import replace

from activity.ledger import JobHistory
from activity.timeline import attempt_story
from console.forms import read_form
from console.jobs import JobsQuery, job_view, list_page
from console.masking import mask_text
from console.pages.frame import Frame
from console.pages.rendering import quoted
from console.pages.signing import signed
from console.problems import bad, not_found
from console.routes import Call, NoQuery, Page
from rabbit.deciding import Decider
from store.interfaces import JobList


def job_pages(frame: Frame, jobs: JobList, decider: Decider) -> list[Page]:
    """The pages over a ledger."""
    shown = _Pages(frame, jobs, decider)
    one = "/jobs/{id}"
    return [
        Page("/jobs", shown.page, query=JobsQuery),
        Page(one, shown.job),
        Page(one, shown.decide, method="POST", changes=True),
    ]


class _Pages:
    def __init__(self, frame: Frame, jobs: JobList, decider: Decider) -> None:
        self._frame, self._jobs, self._decider = frame, jobs, decider

    async def page(self, call: Call[JobsQuery, None]) -> str:
        page = await list_page(self._jobs, call.query, shown=call.trusted)
        return self._frame.show("jobs.html", call, "/jobs", page=page, state=call.query.state, user=call.query.user)

    async def job(self, call: Call[NoQuery, None]) -> str:
        return self._show(call, await self._found(call.path["id"]), None, {})

    async def decide(self, call: Call[NoQuery, None]) -> str | web.Response:
        """Reloading the page that follows decides nothing twice."""
        id, form = call.path["id"], await read_form(call.request)
        by, note = signed(form)
        match form.get("do"):
            case "arrived" | "again" as verdict:
                problem = await self._decider.decide(id, verdict, by, note)
            case _:
                raise bad("do", "arrived or again was expected")
        found = await self._found(id)
        if problem is not None:
            return self._show(call, found, problem, form)
        return web.Response(status=303, headers={"Location": f"/jobs/{quoted(id)}"})

    async def _found(self, id: str) -> JobHistory:
        found = await self._jobs.job(id)
        if found is None:
            raise not_found("there is no such job in the ledger; it may still wait on its queue", "id")
        return found

    def _show(self, call: Call[Any, None], found: JobHistory, problem: str | None, form: Mapping[str, str]) -> str:
        attempts = [attempt_story(row) for row in found.attempts]
        if not call.trusted:
            attempts = [replace(one, words=mask_text(one.words)) for one in attempts]
        told = {"job": job_view(found.job, shown=call.trusted), "attempts": attempts, "may": call.trusted}
        entered = {name: form.get(name, "") for name in ("by", "note")}
        return self._frame.show("job.html", call, "/jobs", problem=problem, entered=entered, **told)

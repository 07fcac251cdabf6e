"""`/dead-letters/group`: many letters replayed or discarded at once: counted, tried, confirmed, then done at a pace."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from time import time
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from console.access import unauthorized
from console.forms import read_form
from console.masking import mask_problem, mask_text
from console.pages.frame import Frame
from console.pages.rendering import plural
from console.pages.runs import Run, Runs
from console.pages.signing import signed
from console.problems import bad
from console.routes import Call, NoQuery, Page
from rabbit.redelivery import Came, Redelivery
from store.deadletters import Wanted
from store.interfaces import Desk, LetterList

PATH: Final = "/dead-letters/group"
FILTERS: Final = ("reason", "origin", "user", "text")
MOST_TRIED: Final = 500
"""A dry run asks for the oldest so many: it looks at each of them."""
_FASTEST: Final = 100_000.0


class GroupQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which letters: the open ones that meet every condition. `run`: what was begun with them."""

    reason: str = ""
    origin: str = ""
    user: str = ""
    text: str = ""
    run: str = ""


class Tried(msgspec.Struct, frozen=True):
    """What a dry run of the first `asked` said. `refused`: how many would be refused, by the problem."""

    asked: int
    accepted: int
    refused: Counter[str]


def bulk_pages(frame: Frame, letters: LetterList, desk: Desk, redelivery: Redelivery, runs: Runs) -> list[Page]:
    """The page over a desk. Its path has to be found before that of a single letter."""
    shown = _Bulk(frame, letters, desk, redelivery, runs)
    return [Page(PATH, shown.page, query=GroupQuery), Page(PATH, shown.act, method="POST", changes=True)]


class _Bulk:
    def __init__(self, frame: Frame, letters: LetterList, desk: Desk, redelivery: Redelivery, runs: Runs) -> None:
        self._frame, self._letters, self._desk, self._redelivery, self._runs = frame, letters, desk, redelivery, runs

    async def page(self, call: Call[GroupQuery, None]) -> str:
        query = call.query
        if query.text and not call.trusted:  # it would tell what stands in a payload
            raise unauthorized("payloads are searched with the token")
        conditions = {name: getattr(query, name) for name in FILTERS}
        return await self._show(call, conditions, run=query.run)

    async def act(self, call: Call[NoQuery, None]) -> str | web.Response:
        """After it has begun the browser is sent to the page that tells how far it is: reloading begins nothing twice."""
        form = await read_form(call.request)
        conditions = {name: form.get(name, "")[:500] for name in FILTERS}
        if (do := form.get("do")) == "stop":
            await self._runs.stop(form.get("run", ""))
            return _see(conditions, form.get("run", ""))
        (by, note), pace = signed(form), _pace(form.get("per_second", ""))
        if do == "trial":
            return await self._show(call, conditions, form=form, tried=await self._try(conditions))
        if do not in ("replay", "discard"):
            raise bad("do", "trial, replay, discard or stop was expected")
        count = await self._count(conditions)
        if form.get("count") != str(count):  # others came or went since they were counted for whoever confirmed it
            said = f"There are {plural(count, 'open letter')} now, not as many as you were shown. Look again, then confirm."
            return await self._show(call, conditions, form=form, tried=await self._try(conditions), said=said)
        opened = self._redelivery.open(_wanted(conditions))
        came = self._redelivery.replay_all(opened, by, note, pace) if do == "replay" else self._discarded(opened, by, note)
        id = self._runs.start(Run("replay" if do == "replay" else "discard", by, count), came)
        if id is None:
            return await self._show(call, conditions, form=form, said="This worker is still at another group: wait, or stop it.")
        return _see(conditions, id)

    async def _discarded(self, ids: AsyncIterator[str], by: str, note: str) -> AsyncIterator[Came]:
        async for id in ids:
            yield Came(id, await self._desk.discard(id, by, note, time()))

    async def _count(self, conditions: Mapping[str, str]) -> int:
        return sum(group.open for group in await self._letters.groups(_wanted(conditions)))

    async def _try(self, conditions: Mapping[str, str]) -> Tried:
        asked, refused = 0, Counter[str]()
        async for came in self._redelivery.outlooks(self._redelivery.open(_wanted(conditions))):
            asked += 1
            if came.problem is not None:
                refused[came.problem] += 1
            if asked == MOST_TRIED:
                break
        return Tried(asked, asked - refused.total(), refused)

    async def _show(
        self,
        call: Call[Any, None],
        conditions: Mapping[str, str],
        *,
        form: Mapping[str, str] | None = None,
        tried: Tried | None = None,
        said: str | None = None,
        run: str = "",
    ) -> str:
        entered = {name: (form or {}).get(name, "") for name in ("by", "note", "per_second")}
        values = {"tried": tried, "said": said, "count": await self._count(conditions), "entered": entered, "id": run}
        found = {"run": _shown(self._runs.get(run), trusted=call.trusted), "masked": not call.trusted}
        return self._frame.show("group.html", call, "/dead-letters", wanted=conditions, **values, **found)


def _wanted(conditions: Mapping[str, str]) -> Wanted:
    reason, origin, user, text = (conditions[name] or None for name in FILTERS)
    return Wanted("open", reason, origin, user, text)


def _shown(run: Run | None, *, trusted: bool) -> Run | None:
    """Without the token a problem has no addresses, nor what a rule quotes."""
    if run is None or trusted:
        return run
    refused = Counter[str]()
    for problem, count in run.refused.items():
        refused[mask_problem(problem.partition(":")[0], problem)] += count
    return msgspec.structs.replace(run, by=mask_text(run.by), refused=refused)


def _see(conditions: Mapping[str, str], run: str) -> web.Response:
    query = urlencode({name: value for name, value in {**conditions, "run": run}.items() if value})
    return web.Response(status=303, headers={"Location": f"{PATH}?{query}"})


def _pace(text: str) -> float | None:
    """How many a second; None: as fast as it goes."""
    if not text.strip():
        return None
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0.001 <= found <= _FASTEST:
        raise bad("per_second", f"a number from 0.001 to {_FASTEST:,.0f} was expected")
    return found

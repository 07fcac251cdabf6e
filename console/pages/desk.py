"""`/dead-letters`: the desk for a person. What is changed comes by form, from a browser that has shown the token."""

from collections.abc import Mapping
from time import time
from typing import Any, Final, Literal
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from activity.redelivery import compact, draft
from console import letters as views
from console.access import unauthorized
from console.forms import read_form
from console.pages.frame import Frame
from console.pages.rendering import quoted
from console.pages.signing import signed
from console.problems import bad, not_found
from console.routes import Call, NoQuery, Page
from rabbit.redelivery import Redelivery
from store.deadletters import MISSING, LetterHistory, Wanted
from store.interfaces import Desk, LetterList

PER_PAGE: Final = 50
_DONE: Final = {
    "edited": "The edit is saved.",
    "replayed": "It was sent again.",
    "discarded": "It is discarded.",
    "reopened": "It is open again.",
}


class LettersQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The search form's fields; an empty one is no condition."""

    state: Literal["", "open", "replayed", "discarded"] = ""
    reason: str = ""
    origin: str = ""
    user: str = ""
    text: str = ""
    cursor: str = ""


class LetterQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`done`: what was just done."""

    done: Literal["", "edited", "replayed", "discarded", "reopened"] = ""


class Said(msgspec.Struct, frozen=True):
    """What came of what a person did."""

    level: Literal["ok", "bad"]
    words: str


def desk_pages(frame: Frame, letters: LetterList, desk: Desk, redelivery: Redelivery) -> list[Page]:
    """The pages over a desk."""
    shown = _Pages(frame, letters, desk, redelivery)
    one = "/dead-letters/{id}"
    return [
        Page("/dead-letters", shown.overview, query=LettersQuery),
        Page(one, shown.letter, query=LetterQuery),
        Page(one, shown.act, method="POST", changes=True),
    ]


class _Pages:
    def __init__(self, frame: Frame, letters: LetterList, desk: Desk, redelivery: Redelivery) -> None:
        self._frame, self._letters, self._desk, self._redelivery = frame, letters, desk, redelivery

    async def overview(self, call: Call[LettersQuery, None]) -> str:
        query = call.query
        if query.text and not call.trusted:  # it would tell what stands in a payload
            raise unauthorized("payloads are searched with the token")
        if query.cursor and await self._letters.letter(query.cursor) is None:
            raise bad("cursor", "there is no such letter; begin without a cursor")
        conditions = {name: getattr(query, name) or None for name in ("state", "reason", "origin", "user", "text")}
        found = await self._letters.letters(Wanted(**conditions), limit=PER_PAGE, after=query.cursor or None)
        page = {"letters": [views.line(letter, shown=call.trusted) for letter in found]}
        following = {name: value for name, value in conditions.items() if value}
        more = urlencode({**following, "cursor": found[-1].id}) if len(found) == PER_PAGE else None
        groups = [views.group(group) for group in await self._letters.groups(Wanted())]
        found_by = urlencode({name: value for name, value in following.items() if name != "state"})
        values = {"page": page, "groups": groups, "wanted": conditions, "next": more, "group": found_by}
        return self._frame.show("letters.html", call, "/dead-letters", **values)

    async def letter(self, call: Call[LetterQuery, None]) -> str:
        done = call.query.done
        found = await self._found(call.path["id"])
        by = found.actions[-1].by if found.actions else ""
        return self._show(call, found, Said("ok", _DONE[done]) if done else None, {"by": by})

    async def act(self, call: Call[NoQuery, None]) -> str | web.Response:
        """After a change the browser is sent to the letter's page, so that reloading it does nothing twice."""
        id = call.path["id"]
        form = await read_form(call.request)
        found, (by, note) = await self._found(id), signed(form)
        match form.get("do"):
            case "trial":
                return self._show(call, found, await self._tried(found, form), form)
            case "edit":
                done, problem = "edited", await self._edit(found, form, by, note)
            case "replay" if _edited(found, form) is not None:
                return self._show(call, found, Said("bad", "The payload here is not saved yet: save the edit first."), form)
            case "replay":
                done, problem = "replayed", (await self._redelivery.replay(id, by, note)).problem
            case "discard":
                done, problem = "discarded", await self._desk.discard(id, by, note, time())
            case "undo":
                done, problem = "reopened", await self._desk.undo(id, by, note, time())
            case _:
                raise bad("do", "edit, trial, replay, discard or undo was expected")
        if problem is not None:
            return self._show(call, await self._found(id), Said("bad", problem), form)
        return web.Response(status=303, headers={"Location": f"/dead-letters/{quoted(id)}?done={done}"})

    async def _edit(self, found: LetterHistory, form: Mapping[str, str], by: str, note: str) -> str | None:
        changed = _edited(found, form)
        if changed is None:
            return "nothing is changed"
        seen = form.get("seen", "")
        return await self._desk.edit(found.letter.id, changed, by, note, time(), int(seen) if _is_number(seen) else None)

    async def _tried(self, found: LetterHistory, form: Mapping[str, str]) -> Said:
        """With what stands in the form, saved or not."""
        changed = _edited(found, form)
        letter = found.letter if changed is None else msgspec.structs.replace(found.letter, edited=changed)
        verdict = views.verdict(await self._redelivery.trial(letter))
        if verdict.accepted:
            return Said("ok", "It would be accepted. " + "; ".join(verdict.notes))
        return Said("bad", f"It would be refused again: {verdict.problem}")

    def _show(self, call: Call[Any, None], found: LetterHistory, said: Said | None, form: Mapping[str, str]) -> str:
        view = views.letter(found, shown=call.trusted)
        text = form.get("payload") or (_draft(found) if call.trusted else None)
        entered = {"by": form.get("by", ""), "note": form.get("note", ""), "seen": found.newest}
        return self._frame.show("letter.html", call, "/dead-letters", letter=view, draft=text, said=said, **entered)

    async def _found(self, id: str) -> LetterHistory:
        found = await self._letters.letter(id)
        if found is None:
            raise not_found(MISSING, "id")
        return found


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _draft(found: LetterHistory) -> str | None:
    """What would be sent, made readable; None: it is no text."""
    try:
        return draft(found.letter, found.letter.edited).decode()
    except UnicodeDecodeError:
        return None


def _edited(found: LetterHistory, form: Mapping[str, str]) -> bytes | None:
    """What stands in the form, if it is another payload; a browser's line ends are no change."""
    text = form.get("payload")
    before = _draft(found)
    if text is None or before is None or text.replace("\r\n", "\n").strip() == before.replace("\r\n", "\n").strip():
        return None
    return compact(text.replace("\r\n", "\n").encode())

"""`/api/dead-letters`: what was refused or can't be sent, from both brokers; repaired, replayed, discarded."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from http import HTTPStatus
from time import time
from typing import Annotated, Any

import msgspec
from aiohttp import web

from activity.dead import LetterState
from activity.errors import ChoparError
from activity.redelivery import compact
from console import letters as views
from console.access import unauthorized
from console.letters import GroupView, LetterLine, LetterView, Verdict
from console.problems import Problem, bad, not_found
from console.routes import Call, Endpoint, Limit, NoQuery
from rabbit.redelivery import Came, Redelivery
from store.deadletters import MISSING, LetterHistory, Wanted
from store.interfaces import Desk, LetterList

log = logging.getLogger(__name__)

Name = Annotated[str, msgspec.Meta(max_length=500)]
Text = Annotated[
    str, msgspec.Meta(min_length=1, max_length=500, description="Stands in the payload or the problem. Needs the token.")
]
Since = Annotated[float, msgspec.Meta(ge=0, description="Died then or later, Unix seconds.")]
LetterId = Annotated[str, msgspec.Meta(max_length=64, description="The id of a letter: the page after it.")]
Operator = Annotated[str, msgspec.Meta(min_length=1, max_length=100, description="Whose doing it is.")]
Note = Annotated[str, msgspec.Meta(max_length=1000, description="Why.")]
Act = Callable[[str, str, str, float], Awaitable[str | None]]
NDJSON = "application/x-ndjson"


class LettersQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which letters: all that meet every condition."""

    state: LetterState | None = None
    reason: Name | None = None
    origin: Name | None = None
    user: Name | None = None
    text: Text | None = None
    since: Since | None = None
    limit: Limit = 50
    cursor: LetterId | None = None


class LetterPage(msgspec.Struct, frozen=True):
    """`next` is the `cursor` of the next page; null: there is none."""

    letters: list[LetterLine]
    next: str | None
    masked: bool


class Groups(msgspec.Struct, frozen=True):
    """By reason, then origin."""

    groups: list[GroupView]


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who does it, and why."""

    by: Operator = "api"
    note: Note = ""


class Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`payload` is sent in place of the original; null takes an edit back. `seen`: how many `actions` the letter had when you
    looked at it; if it has more by now, the edit is refused."""

    payload: str | None
    by: Operator = "api"
    note: Note = ""
    seen: Annotated[float, msgspec.Meta(ge=0, multiple_of=1)] | None = None


class Replays(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which open letters are replayed, and how many a second at most; with `dry_run` it is only said what would come of it."""

    reason: Name | None = None
    origin: Name | None = None
    user: Name | None = None
    text: Text | None = None
    since: Since | None = None
    per_second: Annotated[float, msgspec.Meta(ge=0.001, le=100_000)] | None = None
    dry_run: bool = False
    by: Operator = "api"
    note: Note = ""


def letter_routes(letters: LetterList, desk: Desk, redelivery: Redelivery) -> list[Endpoint]:
    """The endpoints over a desk."""
    looking, acting = _Looking(letters, redelivery), _Acting(letters, desk, redelivery)
    path, one = "/api/dead-letters", "/api/dead-letters/{id}"
    get = [
        Endpoint(path, looking.page, "Dead letters, newest first.", LetterPage, query=LettersQuery, problems=(401, 503)),
        Endpoint(f"{path}/groups", looking.groups, "How many there are of each reason and origin.", Groups, problems=(503,)),
        Endpoint(one, looking.letter, "A dead letter and what was done with it.", LetterView, problems=(404, 503)),
        Endpoint(f"{one}/trial", looking.trial, "Whether a replay would be accepted now.", Verdict, problems=(401, 404, 503)),
    ]
    summary = (
        "Replay a group, the oldest first: a line of JSON for each letter, as it is done. Cut short, it may be asked for again."
    )
    group = Endpoint(
        f"{path}/replay",
        acting.replay_group,
        summary,
        Came,
        "POST",
        body=Replays,
        changes=True,
        problems=(503,),
        media_type=NDJSON,
    )
    told: dict[str, tuple[Callable[..., Awaitable[Any]], str, type[Any], type[Any]]] = {
        "replay": (acting.replay, "Send it again, once, if it would be accepted now.", Came, Signed),
        "discard": (acting.discard, "Decide that it is not to be replayed.", LetterView, Signed),
        "undo": (acting.undo, "Open a letter again that was discarded.", LetterView, Signed),
        "edit": (acting.edit, "Change what is sent when it is replayed; what came stays.", LetterView, Edit),
    }
    post = [
        Endpoint(f"{one}/{name}", handler, summary, answer, "POST", body=body, changes=True, problems=(404, 409, 503))
        for name, (handler, summary, answer, body) in told.items()
    ]
    return [*get, group, *post]


class _Looking:
    def __init__(self, letters: LetterList, redelivery: Redelivery) -> None:
        self._letters, self._redelivery = letters, redelivery

    async def page(self, call: Call[LettersQuery, None]) -> LetterPage:
        query = call.query
        if query.cursor is not None and await self._letters.letter(query.cursor) is None:
            raise bad("cursor", "there is no such letter; begin without a cursor")
        found = await self._letters.letters(_wanted(call), limit=query.limit, after=query.cursor)
        lines = [views.line(letter, shown=call.trusted) for letter in found]
        return LetterPage(lines, found[-1].id if len(found) == query.limit else None, not call.trusted)

    async def groups(self, call: Call[NoQuery, None]) -> Groups:
        return Groups([views.group(group) for group in await self._letters.groups(Wanted())])

    async def letter(self, call: Call[NoQuery, None]) -> LetterView:
        return views.letter(await _found(self._letters, call.path["id"]), shown=call.trusted)

    async def trial(self, call: Call[NoQuery, None]) -> Verdict:
        found = await _found(self._letters, call.path["id"])
        if not call.trusted:
            raise unauthorized("what would come of it is told with the token")
        return views.verdict(await self._redelivery.trial(found.letter))


class _Acting:
    def __init__(self, letters: LetterList, desk: Desk, redelivery: Redelivery) -> None:
        self._letters, self._desk, self._redelivery = letters, desk, redelivery

    async def replay(self, call: Call[NoQuery, Signed]) -> Came:
        came = await self._redelivery.replay(call.path["id"], call.body.by, call.body.note)
        _refuse(came.problem)
        return came

    async def replay_group(self, call: Call[NoQuery, Replays]) -> web.StreamResponse:
        """Its client has the answer line by line; when he goes away it ends. One without an id says why it ends too early."""
        wish = call.body
        open_ = self._redelivery.open(Wanted(None, wish.reason, wish.origin, wish.user, wish.text, wish.since))
        response = web.StreamResponse(headers={"Content-Type": NDJSON})
        await response.prepare(call.request)
        with suppress(ConnectionResetError):  # its client has gone
            await self._tell(response, self._came(open_, wish))
            await response.write_eof()
        return response

    async def _tell(self, response: web.StreamResponse, came: AsyncGenerator[Came]) -> None:
        """The answer has begun: its status can't say any more that it ends too early."""
        try:
            async with aclosing(came):
                async for one in came:
                    await response.write(_line(one))
        except ConnectionResetError:
            raise
        except ChoparError as error:
            await response.write(_line(Came("", str(error))))
        except Exception:
            log.exception("a replay of many letters ended")
            await response.write(_line(Came("", "this is a fault of ours; the log of the worker says more")))

    def _came(self, ids: AsyncIterator[str], wish: Replays) -> AsyncGenerator[Came]:
        if wish.dry_run:
            return self._redelivery.outlooks(ids)
        return self._redelivery.replay_all(ids, wish.by, wish.note, wish.per_second)

    async def discard(self, call: Call[NoQuery, Signed]) -> LetterView:
        return await self._do(call, self._desk.discard)

    async def undo(self, call: Call[NoQuery, Signed]) -> LetterView:
        return await self._do(call, self._desk.undo)

    async def edit(self, call: Call[NoQuery, Edit]) -> LetterView:
        id, body = call.path["id"], call.body
        payload = None if body.payload is None else compact(body.payload.encode())
        _refuse(await self._desk.edit(id, payload, body.by, body.note, time(), None if body.seen is None else int(body.seen)))
        return views.letter(await _found(self._letters, id))

    async def _do(self, call: Call[NoQuery, Signed], act: Act) -> LetterView:
        id = call.path["id"]
        _refuse(await act(id, call.body.by, call.body.note, time()))
        return views.letter(await _found(self._letters, id))


def _wanted(call: Call[LettersQuery, None]) -> Wanted:
    query = call.query
    if query.text is not None and not call.trusted:  # it would tell what stands in a payload
        raise unauthorized("payloads are searched with the token")
    return Wanted(query.state, query.reason, query.origin, query.user, query.text, query.since)


async def _found(letters: LetterList, id: str) -> LetterHistory:
    found = await letters.letter(id)
    if found is None:
        raise not_found(MISSING, "id")
    return found


def _refuse(problem: str | None) -> None:
    """Raises Problem if there is one."""
    if problem == MISSING:
        raise not_found(problem, "id")
    if problem is not None:
        raise Problem(HTTPStatus.CONFLICT, problem, "id")


def _line(came: Came) -> bytes:
    return msgspec.json.encode(came) + b"\n"

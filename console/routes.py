"""What the server answers: endpoints in JSON and pages in HTML, as values.

An `Endpoint` says all of itself (parameters, body, answer): requests are checked by it, and the OpenAPI document is written from
it. A handler gets a `Call` with everything checked and returns what its endpoint promises, or raises Problem.

    class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        limit: Limit = 50

    async def list_things(call: Call[Limits, None]) -> Things: ...

    Endpoint("/api/things", list_things, "All things.", answer=Things, query=Limits)
    Endpoint("/api/things/{id}/forget", forget, "Forget one.", answer=Thing, method="POST", changes=True, body=Note)
    Page("/things", things_page)          # async def things_page(call: Call[NoQuery, None]) -> str: the HTML, escaped
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

import msgspec
from aiohttp import web

Q = TypeVar("Q")
B = TypeVar("B")

Limit: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=500, description="At most so many.")]
Cursor: TypeAlias = Annotated[str, msgspec.Meta(max_length=1024, description="The `next` of the page before.")]


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


class Call(msgspec.Struct, Generic[Q, B], frozen=True):
    """A request whose parts are what the route says. `trusted`: addresses and payloads may be shown to who asks."""

    path: Mapping[str, str]
    query: Q
    body: B
    trusted: bool
    request: web.Request


class Endpoint(msgspec.Struct, frozen=True):
    """Answers in JSON, with an `answer`. What `changes` something needs the token.

    A handler may also return a `web.StreamResponse` that it has answered with itself, for server-sent events say.
    `problems`: the statuses that it may raise beside those that any request may get.
    """

    path: str
    handler: Callable[[Call[Any, Any]], Awaitable[Any]]
    summary: str
    answer: Any
    method: Literal["GET", "POST"] = "GET"
    query: type[Any] = NoQuery
    body: type[Any] | None = None
    changes: bool = False
    problems: tuple[int, ...] = ()
    media_type: str = "application/json"


class Page(msgspec.Struct, frozen=True):
    """Answers in HTML: the text that the handler returns, or a `web.StreamResponse`. Forms that are POSTed it reads itself."""

    path: str
    handler: Callable[[Call[Any, Any]], Awaitable[str | web.StreamResponse]]
    method: Literal["GET", "POST"] = "GET"
    query: type[Any] = NoQuery
    changes: bool = False


Route: TypeAlias = Endpoint | Page

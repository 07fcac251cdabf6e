"""The HTTP server's application: each request is checked, answered by its route, and leaves with the headers of all."""

import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web

from activity.errors import ChoparError, Unreachable
from console.access import Access, unauthorized
from console.problems import Problem, bad, later
from console.routes import Call, Page, Route

log = logging.getLogger(__name__)

LARGEST_BODY: Final = 1024 * 1024
"""Bytes that the body of a request may have: an event's, and room for a note."""

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # A page's address names a user. With no-referrer a browser sends the pages' own forms with `Origin: null`: they are refused.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""On every answer, unless its handler has set it otherwise."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ProblemPage = Callable[[Problem], str]
"""A problem as HTML, for the pages."""


def create_application(routes: Iterable[Route], access: Access, problem_page: ProblemPage | None = None) -> web.Application:
    """An aiohttp application that serves `routes`. Nothing is opened; `AppRunner`, or Faust's web server, runs it."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            access.check_origin(request)
            return await handler(request)
        except Problem as problem:
            return _told(request, problem, problem_page)
        except web.HTTPException as error:
            if error.status < HTTPStatus.BAD_REQUEST:
                raise
            return _told(request, _of_aiohttp(error), problem_page)
        except Unreachable as error:
            return _told(request, later(str(error), 5), problem_page)
        except ChoparError as error:
            return _told(request, Problem(500, str(error)), problem_page)
        except Exception:
            log.exception("a request to %s failed", _pattern(request))
            return _told(request, Problem(500, "this is a fault of ours; the log of the worker says more"), problem_page)

    application = web.Application(middlewares=[guarded], client_max_size=LARGEST_BODY)
    for route in routes:
        application.router.add_route(route.method, route.path, _handler(route, access))
        if route.method == "GET":
            application.router.add_route("HEAD", route.path, _handler(route, access))
    application.on_response_prepare.append(_set_headers)
    return application


def _handler(route: Route, access: Access) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        trusted = access.is_trusted(request)
        if route.changes and not trusted:
            raise unauthorized("this changes something: it needs the token, CHOPAR_API_TOKEN, as `Authorization: Bearer …`")
        query = read_query(request, route.query)
        body = None if isinstance(route, Page) or route.body is None else await _read_body(request, route.body)
        answer = await route.handler(Call(dict(request.match_info), query, body, trusted, request))
        if isinstance(answer, web.StreamResponse):
            return answer
        if isinstance(route, Page):
            return web.Response(text=answer, content_type="text/html")
        return web.Response(body=_json.encode(answer), content_type=route.media_type)

    return handle


def read_query(request: web.Request, kind: type[Any]) -> Any:
    """The parameters as a `kind`. Raises Problem that names the one that is wrong, there twice, or unknown."""
    given = request.query
    for name in given:
        if len(given.getall(name)) > 1:
            raise bad(name, "this parameter is there more than once")
    try:
        found = msgspec.convert(dict(given), kind, strict=False)
    except msgspec.ValidationError as error:
        raise bad(*_field(str(error))) from None
    for field in msgspec.structs.fields(kind):
        if getattr(found, field.name) is None and field.encode_name in given:
            raise bad(field.encode_name, "`null` is no value; a parameter that is not meant is left out")
    return found


async def _read_body(request: web.Request, kind: type[Any]) -> Any:
    if request.content_type != "application/json":
        raise Problem(415, "a body of application/json was expected", "Content-Type")
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.ValidationError as error:
        raise bad(*_field(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad("body", f"the body is no JSON: {error}") from None


def _field(problem: str) -> tuple[str, str]:
    """The field that a msgspec error is about, and what is wrong with it."""
    text, _, path = problem.partition(" - at `$")
    if named := re.search(r"(?:unknown|required) field `([^`]*)`", text):
        return named[1], text
    return path.strip("`").lstrip(".") or "body", text


def _told(request: web.Request, problem: Problem, page: ProblemPage | None) -> web.Response:
    if page is None or request.path.startswith("/api/") or "text/html" not in request.headers.get(hdrs.ACCEPT, ""):
        return problem.response()
    return web.Response(text=page(problem), status=problem.status, content_type="text/html", headers=problem.headers)


def _of_aiohttp(error: web.HTTPException) -> Problem:
    details = {404: "there is nothing at this address", 413: f"the body has more than {LARGEST_BODY:,} bytes"}
    headers = {"Allow": error.headers[hdrs.ALLOW]} if hdrs.ALLOW in error.headers else {}
    field = "body" if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else None
    return Problem(error.status, details.get(error.status, error.reason), field, headers)


def _pattern(request: web.Request) -> str:
    """The address without what names somebody."""
    resource = request.match_info.route.resource
    return "an unknown address" if resource is None else resource.canonical


async def _set_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers[hdrs.SERVER] = "chopar"  # aiohttp's own tells versions


_json: Final = msgspec.json.Encoder()

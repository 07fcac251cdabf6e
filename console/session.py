"""Signing in with a browser: the token is shown once, in a form, and a cookie that scripts can't read stands for it."""

from typing import Final

from aiohttp import web

from console.access import Access
from console.forms import read_form
from console.problems import Problem, bad
from console.routes import Call, NoQuery, Page

FIELD: Final = "token"
BACK: Final = "back"


def session_routes(access: Access) -> list[Page]:
    """`POST /session` with the form fields `token` and `back` (a path), and `POST /session/end` with `back`."""

    async def begin(call: Call[NoQuery, None]) -> web.Response:
        form = await read_form(call.request)
        if not access.is_token(form.get(FIELD, "")):
            raise Problem(403, "the token is wrong", FIELD)
        response = _to(form.get(BACK))
        access.open_session(call.request, response)
        return response

    async def end(call: Call[NoQuery, None]) -> web.Response:
        response = _to((await read_form(call.request)).get(BACK))
        access.close_session(response)
        return response

    return [Page("/session", begin, method="POST"), Page("/session/end", end, method="POST")]


def _to(back: str | None) -> web.Response:
    """A redirection to a page of ours, and never to another site."""
    path = back or "/"
    if not path.startswith("/") or path[1:2] in ("/", "\\") or not path.isprintable():
        raise bad(BACK, "a path of this site was expected")
    return web.Response(status=303, headers={"Location": path})

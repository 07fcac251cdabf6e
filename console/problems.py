"""What a request is told that can't be answered: problem details (RFC 9457), `application/problem+json`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

MEDIA_TYPE: Final = "application/problem+json"


class Details(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body. `field` is the name of the parameter, header or member of the body that is wrong."""

    title: str
    status: int
    detail: str
    field: str | None = None


class Problem(Exception):
    """Raised by whoever answers a request; nothing of it is logged. `detail` is shown to anybody who asks."""

    def __init__(self, status: int, detail: str, field: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.field, self.headers = status, detail, field, dict(headers or {})

    def details(self) -> Details:
        """The body."""
        return Details(HTTPStatus(self.status).phrase, self.status, self.detail, self.field)

    def response(self) -> web.Response:
        """The whole answer."""
        body = msgspec.json.encode(self.details())
        return web.Response(body=body, status=self.status, content_type=MEDIA_TYPE, headers=self.headers)


def later(detail: str, seconds: int = 1) -> Problem:
    """What was asked for can't be told now; the same request may be answered in `seconds`."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": str(seconds)})


def not_found(detail: str, field: str | None = None) -> Problem:
    """There is no such thing."""
    return Problem(HTTPStatus.NOT_FOUND, detail, field)


def bad(field: str, detail: str) -> Problem:
    """A parameter is wrong."""
    return Problem(HTTPStatus.BAD_REQUEST, detail, field)

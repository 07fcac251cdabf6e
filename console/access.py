"""Who may do what: the token, the browser's session, and where a request comes from.

With a token set, whoever shows it (`Authorization: Bearer …`, or a session that was opened with it) may change things and sees
addresses and payloads; everybody else reads, with both masked. Without a token the server listens on loopback only (the
settings see to that), and whoever reaches it is trusted; what a browser was lured to is kept out by the Host it asks for.
"""

import hashlib
import hmac
from collections.abc import Callable
from time import time
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from activity.settings import LOOPBACK
from console.problems import Problem

COOKIE: Final = "chopar-session"
SESSION: Final = 12 * 3600
"""Seconds for which a browser need not show the token again."""
_READING: Final = ("GET", "HEAD", "OPTIONS")


class Access:
    """The rules above, for one token."""

    def __init__(self, token: str | None, clock: Callable[[], float] = time) -> None:
        self._token, self._clock = None if token is None else token.encode(), clock

    @property
    def has_token(self) -> bool:
        """Whether what is shown depends on who asks."""
        return self._token is not None

    def check_origin(self, request: web.Request) -> None:
        """Raises Problem for what another site sent through a browser.

        Without a token the Host has to be loopback's: a site whose name was made to mean this machine is not (DNS rebinding).
        """
        if self._token is None and _host_name(request.host) not in LOOPBACK:
            raise Problem(421, f"without a token only {', '.join(LOOPBACK)} are answered", "Host")
        if request.method in _READING:
            return
        if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            raise Problem(403, "another site may not send this", "Sec-Fetch-Site")
        origin = request.headers.get("Origin")
        if origin is not None and _place(origin) != request.host.lower():
            raise Problem(403, "another site may not send this", "Origin")

    def is_trusted(self, request: web.Request) -> bool:
        """Whether who asks may change things and see what is masked for others. Raises Problem for a wrong token."""
        if self._token is None:
            return True
        given = request.headers.get("Authorization")
        if given is None:
            return self._is_session(request.cookies.get(COOKIE, ""))
        scheme, _, credentials = given.partition(" ")
        if scheme.lower() != "bearer" or not self.is_token(credentials.strip()):
            raise unauthorized("the token is wrong", 'Bearer realm="chopar", error="invalid_token"')
        return True

    def is_token(self, given: str) -> bool:
        """Whether it is the token; takes as long whatever is wrong with it."""
        return self._token is not None and hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token)

    def open_session(self, request: web.Request, response: web.StreamResponse) -> None:
        """From now on this browser need not show the token; every worker with the same token knows it."""
        expires = f"{self._clock() + SESSION:.0f}"
        value = f"{expires}.{self._signed(expires)}"
        response.set_cookie(COOKIE, value, max_age=SESSION, httponly=True, samesite="Strict", secure=request.secure)

    def close_session(self, response: web.StreamResponse) -> None:
        """Take it back."""
        response.del_cookie(COOKIE)

    def _is_session(self, cookie: str) -> bool:
        expires, _, signature = cookie.partition(".")
        signed = self._signed(expires)
        if not hmac.compare_digest(signature.encode("utf-8", "surrogateescape"), signed.encode()):
            return False
        return float(expires) > self._clock()  # it is signed, so it is a number of ours

    def _signed(self, expires: str) -> str:
        message = b"chopar session " + expires.encode("utf-8", "surrogateescape")
        return hmac.new(self._token or b"", message, hashlib.sha256).hexdigest()


def unauthorized(detail: str, challenge: str = 'Bearer realm="chopar"') -> Problem:
    """The token is needed."""
    return Problem(401, detail, "Authorization", {"WWW-Authenticate": challenge})


def _place(origin: str) -> str:
    """Host and port of an origin; empty: it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _host_name(host: str) -> str:
    """`host` without its port: `[::1]:6066` is `::1`."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""

"""CHOPAR_SMTP_URL, read: which mail server, how it is spoken to, and as whom.

smtps://user:password@host             TLS from the first byte, port 465
smtp://host:port                       STARTTLS if it is offered, port 25
smtp://host?starttls=required          never without TLS; what counts anyway if a password goes to another machine
smtp://host?starttls=never             in clear, also the password: said by whoever wrote it
"""

from ipaddress import ip_address
from typing import Final, Literal, cast, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

StartTls = Literal["offered", "required", "never"]
"""When to turn a clear connection into an encrypted one: if the server offers it, always (or not speak at all), not at all."""

_EXPECTED: Final = "expected a URL like smtp://user:password@host:port or smtps://host"


class MailServer(msgspec.Struct, frozen=True):
    """A mail server. A password never leaves this machine in clear but with `starttls="never"`."""

    host: str
    port: int
    tls: bool = False
    starttls: StartTls = "offered"
    user: str | None = None
    password: str = ""

    def __repr__(self) -> str:
        return f"MailServer({self.host}:{self.port})"


def parse_smtp_url(text: str) -> MailServer:
    """The server that `text` names. Raises ValueError that says what was expected, never with the password in it."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)) if parts.query else {}
    except ValueError:
        raise ValueError(_EXPECTED) from None
    if parts.scheme not in ("smtp", "smtps") or not host or port == 0 or parts.path not in ("", "/") or parts.fragment:
        raise ValueError(_EXPECTED)
    tls = parts.scheme == "smtps"
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password or "")
    starttls = _starttls(query, tls, exposed=user is not None and not _here(host))
    return MailServer(host, port or (465 if tls else 25), tls, starttls, user, password)


def _starttls(query: dict[str, str], tls: bool, *, exposed: bool) -> StartTls:
    if unknown := sorted(query.keys() - {"starttls"}):
        raise ValueError(f"expected no other parameter than starttls, not {unknown[0][:50]!r}")
    said = query.get("starttls")
    if said is None:
        return "required" if exposed and not tls else "offered"
    if tls:
        raise ValueError("expected no starttls with smtps://, which is encrypted from the first byte")
    if said not in get_args(StartTls):
        raise ValueError(f"expected starttls to be one of {', '.join(get_args(StartTls))}")
    if exposed and said == "offered":
        raise ValueError("expected starttls=required where a password goes to another machine, or never to send it in clear")
    return cast(StartTls, said)


def _here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""Addresses that mail can go to and come from, read strictly: what can't be told for certain is not sent to."""

import re
from typing import Final
from unicodedata import normalize

import msgspec

from activity.hostnames import a_labels
from activity.outcomes import Dead


class Address(msgspec.Struct, frozen=True):
    """A mailbox that may stand in an SMTP command: one line, its domain in A-labels. What stands before the @ may go beyond
    ASCII; then it may be handed only to a server that says SMTPUTF8 (RFC 6531)."""

    mailbox: str
    name: str = ""

    @property
    def domain(self) -> str:
        """What follows the @."""
        return self.mailbox.rpartition("@")[2]


# The dot-atom of RFC 5321, with RFC 6531's other letters; no quoted strings or address literals, which no one signs up with.
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+"
_LOCAL: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*", re.ASCII)
_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NAMED: Final = re.compile(r"(?P<name>[^<>]*)<(?P<mailbox>[^<>]*)>\s*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ESCAPED: Final = re.compile(r"\\(.)")

LONGEST: Final = 1000
"""Characters of an address with its name. It comes from an event, which may be long, and what is asked of it takes its time."""


def address(text: str) -> Address | Dead:
    """`mail@shop.example` or `Shop <mail@shop.example>`; `Dead("bad-address")` for what can't be sent to.

    The reason names no part of the address, since it reaches logs.
    """
    if len(text) > LONGEST:
        return Dead("bad-address", f"it is longer than {LONGEST} characters")
    if _CONTROL.search(text):
        return Dead("bad-address", "it has a control character or line break")
    named = _NAMED.fullmatch(text)
    name, mailbox = (named["name"], named["mailbox"]) if named else ("", text.strip(" "))
    local, at, domain = mailbox.rpartition("@")
    if "@" in local and ("," in local or ";" in local):
        return Dead("bad-address", "it is several addresses; a job has one recipient, so several take a rule each")
    if not local.isascii():
        local = normalize("NFC", local)
    # Neither spaces of other scripts nor marks that turn the direction of a text: they are not printable.
    if not at or not _LOCAL.fullmatch(local) or not local.isprintable() or len(local.encode()) > 64:
        return Dead("bad-address", "what stands before the @ is missing, too long or not allowed")
    host = a_labels(domain)
    if host is None or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        return Dead("bad-address", "its domain is no domain name")
    return Address(f"{local}@{host}", _plain(name))


def _plain(name: str) -> str:
    """The name without its quotes, one space between its words."""
    name = name.strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = _ESCAPED.sub(r"\1", name[1:-1])
    return " ".join(name.split())

"""From what a mail says to its bytes (RFC 5322, MIME), without `email.message`, which takes longer than all the rest of a mail.

What is the same in all mails of a kind is put together once, the skeleton; a mail fills in what changes.
"""

import re
from email.utils import formatdate
from functools import lru_cache
from typing import Final

from activity.outcomes import Dead
from activity.unsubscribe import is_one_click
from rabbit.address import Address
from rabbit.mime import body, phrase, unstructured
from rabbit.templates import Rendered

BOUNDARY: Final = b"=_chopar"
"""Between the parts. No part has it in it (`rabbit.mime`)."""

_JOB_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,100}", re.ASCII)
_TEXT: Final = b"Content-Type: text/plain; charset=utf-8\r\n"
_HTML: Final = b"Content-Type: text/html; charset=utf-8\r\n"
_ALTERNATIVES: Final = b'Content-Type: multipart/alternative; boundary="' + BOUNDARY + b'"\r\n\r\n--' + BOUNDARY + b"\r\n"
# The line break before a boundary belongs to the boundary, not to the part.
_NEXT: Final = b"\r\n--" + BOUNDARY + b"\r\n"
_END: Final = b"\r\n--" + BOUNDARY + b"--\r\n"


class Skeleton:
    """The mails from one sender. The same job makes the same Message-ID however often it is made."""

    def __init__(self, sender: Address) -> None:
        self._from = f"\r\nFrom: {_mailbox(sender, len('From: '))}\r\nTo: ".encode()
        fixed = f"@{sender.domain}>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n".encode()
        self._text = fixed + _TEXT
        self._alternatives = fixed + _ALTERNATIVES + _TEXT

    def fill(self, job_id: str, recipient: Address, mail: Rendered, now: float, unsubscribe: str | None = None) -> bytes | Dead:
        """The message, lines ended by CRLF. It is ASCII but where a mailbox is not (RFC 6532)."""
        if not _JOB_ID.fullmatch(job_id):
            return Dead("bad-job", "its id can't stand in a Message-ID")
        if unsubscribe is not None and not is_one_click(unsubscribe):
            return Dead("bad-job", "where it says that the list is left is no https:// URL")
        varying = (
            f"{_mailbox(recipient, len('To: '))}\r\nSubject: {unstructured(mail.subject, len('Subject: '))}{_leave(unsubscribe)}"
        )
        head = b"Date: %b%b%b\r\nMessage-ID: <%b" % (_date(int(now)), self._from, varying.encode(), job_id.encode())
        if mail.html is None:
            return b"".join((head, self._text, body(mail.text)))
        return b"".join((head, self._alternatives, body(mail.text), _NEXT, _HTML, body(mail.html), _END))


def _mailbox(box: Address, used: int) -> str:
    if not box.name:
        return box.mailbox
    name = phrase(box.name, used)
    near = len(name) + len(box.mailbox) + used + 3 <= 78
    return f"{name} <{box.mailbox}>" if near else f"{name}\r\n <{box.mailbox}>"


def _leave(unsubscribe: str | None) -> str:
    """For mailings: the receiver's mail program shows a button that sends a POST there (RFC 8058)."""
    if unsubscribe is None:
        return ""
    return f"\r\nList-Unsubscribe: <{unsubscribe}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click"


@lru_cache(maxsize=8)
def _date(second: int) -> bytes:
    return formatdate(second).encode()

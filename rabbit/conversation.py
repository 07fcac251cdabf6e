"""What is said to a mail server for one message, split so that the permission comes last before what can't be taken back.

    MAIL, RCPT, DATA ─▶ 354 ─▶ the message without its end ─▶ permission ─▶ "." ─▶ the reply
    └── lost, refused or cancelled: nothing happened ──────────────────┘    └── lost: nobody knows (RFC 1047)

A server never accepts a message whose end it has not seen, so all that fails before is safe to repeat.
"""

import re
from typing import Final

import msgspec
from aiosmtplib import SMTP, SMTPException, SMTPResponse

from activity.outcomes import Outcome, Retry, Unknown
from activity.replies import judge
from rabbit.failpoints import failpoint
from rabbit.tasks import Permission

FAILED: Final = (SMTPException, OSError, TimeoutError)
_DOTS: Final = re.compile(rb"(?m)^\.")


class Envelope(msgspec.Struct, frozen=True):
    """A message (lines ended by CRLF) and the mailboxes it goes from and to, which are checked already."""

    sender: str
    recipient: str
    content: bytes

    @property
    def is_international(self) -> bool:
        """Whether only a server that says SMTPUTF8 may have it (RFC 6531)."""
        return not (self.sender.isascii() and self.recipient.isascii())


class Refused(Exception):
    """The mail server answered a command with an error. The conversation can go on with another message."""

    def __init__(self, reply: SMTPResponse) -> None:
        super().__init__(f"{reply.code} {reply.message}")
        self.reply = reply


class Beyond(Exception):
    """The message is international and the server takes none. Nothing was said."""


async def begin(connection: SMTP, envelope: Envelope) -> None:
    """MAIL. Raises Refused or Beyond, and what a lost connection raises."""
    command = f"FROM:<{envelope.sender}>"
    if envelope.is_international:
        if not connection.supports_extension("smtputf8"):
            raise Beyond
        command += " SMTPUTF8 BODY=8BITMIME"
    await _command(connection, b"MAIL", command.encode())


async def hand_over(connection: SMTP, envelope: Envelope, permission: Permission) -> Outcome:
    """What follows on MAIL. Raises Refused, and what a connection raises that is lost before the message's end."""
    await _command(connection, b"RCPT", f"TO:<{envelope.recipient}>".encode())
    await _command(connection, b"DATA", goes_on=True)
    # aiosmtplib sends a message and its final dot in one step; `protocol.write` is the only way between the two. The dot
    # is then a command like any other. tests/rabbit/test_smtp.py fails if either of them changes.
    protocol = connection.protocol
    if protocol is None:
        return Retry("connection lost", kind="connection")
    protocol.write(stuffed(envelope.content))
    if not await permission():
        connection.close()
        return Retry("not permitted")
    if not connection.is_connected:
        return Retry("connection lost before the message's end", kind="connection")
    try:
        reply = await connection.execute_command(b".")
    except FAILED as error:
        connection.close()
        return Unknown(f"no answer after the message's end: {type(error).__name__}")
    failpoint("mailer.answered")
    return judge(reply.code, reply.message)


def stuffed(content: bytes) -> bytes:
    """The content as it stands between DATA and the final dot: no line is a lone dot, the last line is ended."""
    ended = content if content.endswith(b"\r\n") else content + b"\r\n"
    return _DOTS.sub(b"..", ended)


async def _command(connection: SMTP, *words: bytes, goes_on: bool = False) -> None:
    reply = await connection.execute_command(*words)
    if reply.code // 100 != (3 if goes_on else 2):
        raise Refused(reply)

"""Delivery by SMTP, with the conversation split so that the permission comes last before what can't be taken back.

    MAIL, RCPT, DATA ─▶ 354 ─▶ the message without its end ─▶ permission ─▶ "." ─▶ the reply
    └── lost, refused or cancelled: nothing happened ──────────────────┘    └── lost: nobody knows (RFC 1047)

A server never accepts a message whose end it has not seen, so all that fails before is safe to repeat.
"""

import asyncio
import re
from typing import Final
from urllib.parse import unquote, urlsplit

import aiosmtplib
import msgspec
from aiosmtplib import SMTPException, SMTPResponse

from activity.outcomes import Dead, Outcome, Retry, Sent, Unknown
from rabbit.tasks import Permission

SETTING: Final = "CHOPAR_SMTP_URL"
FAILED: Final = (SMTPException, OSError, TimeoutError)
HANGS_UP: Final = 421
_DOTS: Final = re.compile(rb"(?m)^\.")


class Envelope(msgspec.Struct, frozen=True):
    """A message (lines ended by CRLF) and the mailboxes it goes from and to, which are checked already."""

    sender: str
    recipient: str
    content: bytes


class Away(Exception):
    """The mail server can't be reached or does not let us in; nothing was said about any message."""

    def __init__(self, problem: str, *, credentials: bool = False) -> None:
        super().__init__(problem)
        self.credentials = credentials


class Refused(Exception):
    """The mail server answered a command with an error."""

    def __init__(self, reply: SMTPResponse) -> None:
        super().__init__(f"{reply.code} {reply.message}")
        self.reply = reply


class Mailer:
    """Hands messages to one mail server over as many connections as are in use at once; each is kept for the next message."""

    def __init__(self, url: str, timeout: float, hello: str = "localhost") -> None:
        parts = urlsplit(url)
        self._tls = parts.scheme == "smtps"
        self._host, self._port = parts.hostname or "localhost", parts.port or (465 if self._tls else 25)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password or "") if parts.username else None
        self._timeout = timeout
        self._hello = hello
        self._kept: list[aiosmtplib.SMTP] = []

    @property
    def where(self) -> str:
        """The server, without credentials."""
        return f"{self._host}:{self._port}"

    async def deliver(self, envelope: Envelope, permission: Permission) -> Outcome:
        """One attempt. `Unknown` only if the connection failed after the end of the message was sent, which is after
        `permission` was granted. If it is not granted the message is not sent, and what is returned means nothing."""
        try:
            connection = await self._opened(envelope)
        except Away as error:
            return Retry(f"mail server away: {error}", burn=False)
        except Refused as refused:
            return judged(refused.reply)
        except FAILED as error:
            return Retry(f"connection failed: {type(error).__name__}", kind="connection")
        try:
            outcome = await _hand_over(connection, envelope, permission)
        except Refused as refused:
            await self._keep(connection, reset=True)
            return judged(refused.reply)
        except FAILED as error:
            connection.close()
            return Retry(f"connection failed: {type(error).__name__}", kind="connection")
        except BaseException:
            connection.close()
            raise
        await self._keep(connection, reset=False)
        return outcome

    async def check(self) -> None:
        """Connects, says hello, logs in, and hangs up. Raises Away if that does not work."""
        await _hang_up(await self._connect())

    async def answers(self) -> bool:
        """Whether `check` works."""
        try:
            await self.check()
        except Away:
            return False
        return True

    async def close(self) -> None:
        """Hangs up on all kept connections."""
        kept, self._kept = self._kept, []
        await asyncio.gather(*(_hang_up(connection) for connection in kept))

    async def _opened(self, envelope: Envelope) -> aiosmtplib.SMTP:
        """A connection on which MAIL was accepted: a kept one, or a new one if the server has hung up on those."""
        while self._kept:
            connection = self._kept.pop()
            try:
                await _mail(connection, envelope)
            except FAILED:
                connection.close()
            except Refused as refused:
                if refused.reply.code != HANGS_UP:
                    await self._keep(connection, reset=True)
                    raise
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        connection = await self._connect()
        try:
            await _mail(connection, envelope)
        except Refused:
            await self._keep(connection, reset=True)
            raise
        except BaseException:
            connection.close()
            raise
        return connection

    async def _connect(self) -> aiosmtplib.SMTP:
        """Connected, over TLS if the server offers it, logged in if the URL says as whom."""
        connection = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            use_tls=self._tls,
            timeout=self._timeout,
            local_hostname=self._hello,
        )
        try:
            await connection.connect()
            if connection.is_ehlo_or_helo_needed:
                await connection.ehlo()
        except aiosmtplib.SMTPAuthenticationError as error:
            connection.close()
            raise Away(f"user name or password refused, {error.code}", credentials=True) from None
        except FAILED as error:
            connection.close()
            raise Away(" ".join(str(error).split())[:200]) from None
        return connection

    async def _keep(self, connection: aiosmtplib.SMTP, *, reset: bool) -> None:
        """For the next message. A conversation that was broken off is taken back first."""
        try:
            if reset:
                await connection.rset()
        except FAILED:
            connection.close()
        if connection.is_connected:
            self._kept.append(connection)


def judged(reply: SMTPResponse) -> Outcome:
    """What a reply with an error means for the message: 4xx is for now, anything else for good (RFC 5321, 4.2.1)."""
    words = f"{reply.code} {' '.join(reply.message.split())[:300]}"
    if reply.code == HANGS_UP:
        return Retry(words, burn=False, slow=True, kind="busy")
    return Retry(words) if 400 <= reply.code < 500 else Dead("refused", words)


def stuffed(content: bytes) -> bytes:
    """The content as it stands between DATA and the final dot: no line is a lone dot, the last line is ended."""
    ended = content if content.endswith(b"\r\n") else content + b"\r\n"
    return _DOTS.sub(b"..", ended)


async def _mail(connection: aiosmtplib.SMTP, envelope: Envelope) -> None:
    await _command(connection, b"MAIL", f"FROM:<{envelope.sender}>".encode("ascii"))


async def _hand_over(connection: aiosmtplib.SMTP, envelope: Envelope, permission: Permission) -> Outcome:
    await _command(connection, b"RCPT", f"TO:<{envelope.recipient}>".encode("ascii"))
    await _command(connection, b"DATA", expected=354)
    # aiosmtplib sends a message and its final dot in one step; `protocol.write` is the only way between the two. The dot
    # is then a command like any other. tests/rabbit/test_smtp.py fails if either of them changes.
    protocol = connection.protocol
    if protocol is None:
        return Retry("connection lost")
    protocol.write(stuffed(envelope.content))
    if not await permission():
        connection.close()
        return Retry("not permitted")
    if not connection.is_connected:
        return Retry("connection lost before the message's end")
    try:
        reply = await connection.execute_command(b".")
    except FAILED as error:
        connection.close()
        return Unknown(f"no answer after the message's end: {type(error).__name__}")
    return Sent(f"{reply.code} {' '.join(reply.message.split())[:300]}") if reply.code == 250 else judged(reply)


async def _command(connection: aiosmtplib.SMTP, *words: bytes, expected: int = 250) -> None:
    reply = await connection.execute_command(*words)
    if reply.code != expected and not (expected == 250 and reply.code == 251):
        raise Refused(reply)


async def _hang_up(connection: aiosmtplib.SMTP) -> None:
    try:
        await asyncio.wait_for(connection.quit(), 2.0)
    except FAILED:
        pass
    finally:
        connection.close()

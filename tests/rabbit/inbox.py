"""A mail server to send to: aiosmtpd in the test's own loop, on one port as long as it is wanted, told what to answer."""

import asyncio
import ssl
from collections import Counter
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any, Self, cast

from aiosmtpd.smtp import SMTP, Envelope, Session

from brokers import ports


class Inbox:
    """Keeps what it accepted in `mails`. `replies` (by recipient) are given one after the other at `when`, then 250.

    A reply of "drop" cuts the connection in place of an answer; with "drop-after" the mail is kept first.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, **options: Any) -> None:
        self._tls = tls  # from the first byte, not by STARTTLS
        self.port = ports.choose(1)[0]
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.options: list[str] = []
        self.replies: dict[str, list[str]] = {}
        self.when = "DATA"
        self.connections = 0
        self.accepted = asyncio.Condition()
        self.reached = asyncio.Event()
        self.hold: asyncio.Event | None = None
        self._options = options
        self._server: asyncio.Server | None = None
        self._open: set[SMTP] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'smtps' if self._tls else 'smtp'}://127.0.0.1:{self.port}"

    @property
    def ids(self) -> Counter[str]:
        """How often each Message-ID was accepted."""
        return Counter(str(mail["Message-ID"]) for mail in self.mails)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listens."""
        self._server = await asyncio.get_running_loop().create_server(self._protocol, "127.0.0.1", self.port, ssl=self._tls)

    async def stop(self) -> None:
        """Cuts all connections and refuses new ones."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for protocol in list(self._open):
            self.cut(protocol)
        await asyncio.sleep(0)

    def cut(self, protocol: SMTP) -> None:
        """Ends a connection without a word."""
        self._open.discard(protocol)
        if protocol.transport is not None:
            cast(asyncio.Transport, protocol.transport).abort()

    def cut_all(self) -> None:
        """Ends all connections, and goes on listening."""
        for protocol in list(self._open):
            self.cut(protocol)

    async def received(self, count: int, within: float = 60.0) -> None:
        """Waits until that many mails were accepted."""
        async with self.accepted, asyncio.timeout(within):
            await self.accepted.wait_for(lambda: len(self.mails) >= count)

    def _protocol(self) -> asyncio.Protocol:
        self.connections += 1
        protocol = SMTP(self, **{"enable_SMTPUTF8": False, "loop": asyncio.get_running_loop(), **self._options})
        self._open.add(protocol)
        return protocol

    # -- what aiosmtpd calls -------------------------------------------------------------------------------------------

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:  # noqa: N802
        envelope.mail_from = address
        self.options += options
        return (self._next(address) if self.when == "MAIL" else "") or "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:  # noqa: N802
        reply = self._next(address) if self.when == "RCPT" else ""
        if reply == "drop":
            self.cut(server)
        elif reply:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.reached.set()
        if self.hold is not None:
            await self.hold.wait()
        reply = self._next(envelope.rcpt_tos[0]) if self.when == "DATA" else ""
        if reply.startswith("drop"):
            if reply == "drop-after":
                await self._accept(envelope)
            self.cut(server)
        elif reply:
            return reply
        else:
            await self._accept(envelope)
        return "250 2.0.0 OK queued"

    async def _accept(self, envelope: Envelope) -> None:
        content = envelope.original_content or b""
        async with self.accepted:
            self.recipients += envelope.rcpt_tos
            self.mails.append(BytesParser(policy=default).parsebytes(content))
            self.accepted.notify_all()

    def _next(self, recipient: str) -> str:
        """A recipient's replies are used up; those of "*" go for all others, for ever."""
        own = self.replies.get(recipient)
        if own:
            return own.pop(0)
        return self.replies.get("*", [""])[0] if own is None else ""

"""A mail server that answers as it is told to, and notes down every mail that it saw the end of.

Written on the bare protocol: aiosmtpd takes a core for 500 mails/s, which the run has not got.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, Self, cast

from brokers import ports
from tests.chaos.mail.evidence import Handed

Answer = Callable[[str, int], str]
"""What is said to a recipient's n-th mail (from 1): "" takes it; "drop" cuts the connection in place of an answer,
"drop-after" does so with a mail that is kept, "drop-before" before the mail; anything else is the reply."""

_MESSAGE_ID: Final = re.compile(rb"^Message-ID: <([^@>]+)@", re.MULTILINE | re.IGNORECASE)
_RECIPIENT: Final = re.compile(rb"RCPT TO:<([^>]*)>", re.IGNORECASE)
_END: Final = b"\r\n.\r\n"


class Sink:
    """See above. `handed` has the mails in the order in which they came. With `hold` the answer waits, not the note."""

    def __init__(self, answer: Answer) -> None:
        self.port = ports.choose(1)[0]
        self.handed: list[Handed] = []
        self.reached = asyncio.Event()
        self.hold: asyncio.Event | None = None
        self.open: set[_Conversation] = set()
        self._answer = answer
        self._seen: Counter[str] = Counter()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"smtp://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listens."""
        self._server = await asyncio.get_running_loop().create_server(lambda: _Conversation(self), "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Cuts all connections and refuses new ones."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for conversation in list(self.open):
            conversation.cut()
        await asyncio.sleep(0)

    def begins(self, recipient: str) -> bool:
        """Whether the mail to `recipient` may come."""
        self._seen[recipient] += 1
        return self._answer(recipient, self._seen[recipient]) != "drop-before"

    def ended(self, recipient: str, content: bytes) -> str:
        """Notes a mail down; what is to be answered."""
        answer = self._answer(recipient, self._seen[recipient])
        found = _MESSAGE_ID.search(content)
        assert found is not None
        self.handed.append(Handed(found[1].decode(), time.time(), answer in ("", "drop-after"), answer))
        self.reached.set()
        return answer


class _Conversation(asyncio.Protocol):
    """One connection. Nothing more is read while an answer is held."""

    def __init__(self, sink: Sink) -> None:
        self._sink, self._buffer, self._recipient, self._data = sink, b"", "", False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._sink.open.add(self)
        self._transport.write(b"220 sink\r\n")

    def connection_lost(self, _: Exception | None) -> None:
        self._sink.open.discard(self)

    def cut(self) -> None:
        """Ends it without a word."""
        self._sink.open.discard(self)
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while not self._transport.is_closing():
            part, found, rest = self._buffer.partition(_END if self._data else b"\r\n")
            if not found:
                return
            self._buffer = rest
            if self._data:
                self._end(part)
            else:
                self._command(part)

    def _command(self, line: bytes) -> None:
        verb = line[:4].upper()
        if verb == b"RCPT":
            self._recipient = cast("re.Match[bytes]", _RECIPIENT.match(line))[1].decode()
            if not self._sink.begins(self._recipient):
                self.cut()
                return
        self._data = verb == b"DATA"
        self._transport.write(b"354 go on\r\n" if self._data else b"250 OK\r\n")
        if verb == b"QUIT":
            self._transport.close()

    def _end(self, content: bytes) -> None:
        self._data = False
        answer, hold = self._sink.ended(self._recipient, content), self._sink.hold
        if hold is None:
            self._say(answer)
        else:
            waiting = asyncio.ensure_future(hold.wait())
            waiting.add_done_callback(lambda _: self._say(answer))

    def _say(self, answer: str) -> None:
        if answer.startswith("drop"):
            self.cut()
        elif not self._transport.is_closing():
            self._transport.write((answer or "250 2.0.0 OK queued").encode() + b"\r\n")

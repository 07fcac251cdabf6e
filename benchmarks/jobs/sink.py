"""A mail server that takes everything, as fast as Python can: `python -m benchmarks.jobs.sink PORT FOLDER`.

Each mail goes into `mails`, and is marked in `done` by the order's number in its subject.
"""

import asyncio
import re
import sys
from pathlib import Path
from typing import BinaryIO, cast

import uvloop

from benchmarks.peers.jobs.work import Marks

EHLO = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
NUMBER = re.compile(rb"\r\nSubject: Your order A-(\d+)\r\n")
END = b"\r\n.\r\n"
SEPARATOR = b"\r\n.\r\n"
"""Between mails in the file: what no mail has in it while it is on the wire."""


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, mails: BinaryIO, marks: Marks) -> None:
        self._mails, self._marks = mails, marks
        self._buffer = b""
        self._data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Says who it is."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        """Answers all the commands that are whole, and all the mails."""
        buffer, replies = self._buffer + data, []
        while True:
            end = END if self._data else b"\r\n"
            head, found, rest = buffer.partition(end)
            if not found:
                break
            buffer = rest
            replies.append(self._mail(head) if self._data else self._command(head))
        self._buffer = buffer
        if replies:
            self._transport.write(b"".join(replies))

    def _command(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        if verb == b"DATA":
            self._data = True
            return b"354 go on\r\n"
        if verb == b"EHLO":
            return EHLO
        if verb == b"QUIT":
            self._transport.write(b"221 bye\r\n")
            self._transport.close()
            return b""
        return b"250 ok\r\n"

    def _mail(self, content: bytes) -> bytes:
        self._data = False
        self._mails.write(content + SEPARATOR)
        found = NUMBER.search(content)
        if found is None:
            return b"554 whose is it?\r\n"
        self._marks.note(int(found[1]))
        return b"250 ok\r\n"


async def serve(port: int, folder: Path) -> None:
    """Until it is killed. What is in `mails` is there within a moment."""
    marks = Marks(str(folder))
    with (folder / "mails").open("ab") as mails:
        server = await asyncio.get_running_loop().create_server(lambda: Session(mails, marks), "127.0.0.1", port)
        async with server:
            while True:
                await asyncio.sleep(0.2)
                mails.flush()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2])))

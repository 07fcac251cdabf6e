"""The inbox on disk: a Maildir that any mail program can open, and a list of what was refused."""

import os
import time
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser, BytesParser
from pathlib import Path
from typing import Final, Literal

import msgspec

REFUSALS: Final = "refused.jsonl"


class Refusal(msgspec.Struct, frozen=True):
    """A message that the server did not take: `later` (451) or `never` (550). `message_id` is unknown before its text came."""

    kind: Literal["later", "never"]
    to: str
    message_id: str = ""


class Mail(msgspec.Struct, frozen=True):
    """A message that was taken."""

    to: str
    message_id: str
    path: Path


class Folder:
    """A Maildir. What `keep` or `refuse` has returned from survives a SIGKILL."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("tmp", "new", "cur"):
            (path / name).mkdir(parents=True, exist_ok=True)
        self._count = 0

    def keep(self, to: str, content: bytes) -> None:
        """Takes a message."""
        self._count += 1
        name = f"{time.time_ns()}.{os.getpid()}_{self._count}.chopar"
        draft = self.path / "tmp" / name
        draft.write_bytes(b"Delivered-To: %b\n%b" % (to.encode(), content.replace(b"\r\n", b"\n")))
        draft.rename(self.path / "new" / name)

    def refuse(self, refusal: Refusal) -> None:
        """Writes down that a message was not taken."""
        with (self.path / REFUSALS).open("ab", buffering=0) as file:
            file.write(msgspec.json.encode(refusal) + b"\n")

    def refusals(self) -> list[Refusal]:
        """All that were refused, the first one first. A line that was being written when the server was killed is passed over."""
        path = self.path / REFUSALS
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        return [msgspec.json.decode(line, type=Refusal) for line in lines if line.endswith(b"\n")]

    def mails(self) -> Iterator[Mail]:
        """All that were taken, in the order in which they came."""
        files = [entry for name in ("new", "cur") for entry in (self.path / name).iterdir()]
        for file in sorted(files, key=lambda path: path.name):
            with file.open("rb") as content:
                headers = BytesHeaderParser().parse(content)
            yield Mail(str(headers["Delivered-To"]), message_id(headers["Message-ID"]), file)

    def count(self) -> int:
        """How many were taken."""
        return sum(len(os.listdir(self.path / name)) for name in ("new", "cur"))


def read_mail(path: Path) -> EmailMessage:
    """The whole message, decoded."""
    return BytesParser(EmailMessage, policy=policy.default).parsebytes(path.read_bytes())


def message_id(header: object) -> str:
    """The id without its angle brackets."""
    return str(header or "").strip().strip("<>")

"""Whether a side's output is right: its own rules, nothing of a side's or of Chopar's."""

from collections.abc import Mapping
from typing import Final

import msgspec

SHOWN: Final = 5
"""How many problems are told one by one."""


class Out(msgspec.Struct):
    """What a record of any side's output has to have."""

    id: str
    subject: str
    sequence: str
    position: int


class Checker:
    """Takes the output in its order; `problems` tells what is wrong with the whole of it.

    `expected`: how many events each user sent. Each has to be there once, in the order of its sequence, at its position.
    """

    def __init__(self, expected: Mapping[str, int]) -> None:
        self._expected = expected
        self._seen: dict[str, int] = {}
        self._wrong: list[str] = []
        self._count = 0

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """The next record of a partition."""
        try:
            out = _decode(value or b"")
        except msgspec.DecodeError as error:
            self._tell(f"unreadable: {error}")
            return
        due = self._seen.get(out.subject, 0) + 1
        if key != out.subject.encode():
            self._tell(f"{out.id} has the key {key!r}")
        if out.id != f"{out.subject}-{out.sequence}" or int(out.sequence) != due or out.position != due:
            self._tell(f"{out.id} stands at position {out.position}, number {due} of its user was due")
        self._seen[out.subject] = due

    def problems(self) -> list[str]:
        """Empty: the output is whole, each event once, in order."""
        missing = [
            f"{user} has {self._seen.get(user, 0)} of {count} events"
            for user, count in self._expected.items()
            if self._seen.get(user, 0) != count
        ]
        more = [f"and {self._count - SHOWN} more"] if self._count > SHOWN else []
        strangers = [f"{user} sent nothing" for user in self._seen.keys() - self._expected.keys()]
        return [*self._wrong, *more, *missing[:SHOWN], *strangers[:SHOWN]]

    def _tell(self, what: str) -> None:
        self._count += 1
        if self._count <= SHOWN:
            self._wrong.append(what)


_decode: Final = msgspec.json.Decoder(Out).decode

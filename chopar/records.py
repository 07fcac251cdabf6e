"""Splitting what people pipe in into records: JSON lines or one JSON array, in bounded memory. Pure: bytes in, records out."""

import json
from codecs import getincrementaldecoder
from typing import Final

import msgspec

from activity.events import MAX_EVENT

LONGEST: Final = 4 * MAX_EVENT
"""The most bytes that are kept of one record; what is longer is too big for Kafka in any case."""
BLANK: Final = " \t\r\n"


class Record(msgspec.Struct, frozen=True):
    """One record. `number`: of its line, or of its place in the array, from 1. `problem`: why it can't be one."""

    number: int
    value: bytes
    problem: str = ""


class Lines:
    """Feed it what was read, in pieces of any size; it gives the records that are complete. Blank lines are none."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._number = 0
        self._too_long = False

    def feed(self, piece: bytes) -> list[Record]:
        """The records that end in `piece`."""
        *ended, rest = piece.split(b"\n")
        records = []
        for line in ended:
            self._add(line)
            records += self._end_line()
        self._add(rest)
        return records

    def end(self) -> list[Record]:
        """The last record, if it has no line break."""
        return self._end_line() if self._rest else []

    def _add(self, part: bytes) -> None:
        if len(self._rest) + len(part) > LONGEST:
            self._too_long = True
            part = part[: LONGEST - len(self._rest)]
        self._rest += part

    def _end_line(self) -> list[Record]:
        self._number += 1
        line, too_long = bytes(self._rest).removesuffix(b"\r"), self._too_long
        self._rest.clear()
        self._too_long = False
        if too_long:
            return [Record(self._number, b"", f"it has more than {LONGEST:,} bytes")]
        return [Record(self._number, line)] if line.strip() else []


class Array:
    """As `Lines`, for one JSON array: its elements, each written as it came."""

    def __init__(self) -> None:
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._text = ""
        self._number = 0
        self._state = "["
        self._tried = 0

    def feed(self, piece: bytes) -> list[Record]:
        """The records that end in `piece`."""
        self._text += self._decode(piece)
        records: list[Record] = []
        while self._state != "broken" and (record := self._next()):
            records.append(record)
        return records

    def end(self) -> list[Record]:
        """What is wrong with the end, if something is."""
        self._tried = 0
        records = self.feed(b" ")
        if self._state not in ("end", "broken"):
            records.append(self._broken("the array does not end"))
        elif self._state == "end" and self._text.strip(BLANK):
            records.append(self._broken("something follows the array"))
        return records

    def _next(self) -> Record | None:
        """The next element, if it is complete."""
        while True:
            self._text = self._text.lstrip(BLANK)
            if not self._text or self._state == "end":
                return None
            if self._state == "value" or (self._state == "first" and self._text[0] != "]"):
                return self._value()
            mark, self._text = self._text[0], self._text[1:]
            if mark not in {"[": "[", "first": "]", "after": ",]"}[self._state]:
                return self._broken("a comma or ] was expected")
            self._state = {"[": "first", ",": "value", "]": "end"}[mark]

    def _value(self) -> Record | None:
        if len(self._text) < 2 * self._tried:  # not complete the last time: look again when there is much more
            return None
        try:
            _, end = _JSON.raw_decode(self._text)
        except (ValueError, RecursionError):
            if len(self._text) > LONGEST:
                return self._broken("it is no JSON, or too big")
            self._tried = len(self._text)
            return None
        if end == len(self._text):  # a number might go on
            return None
        self._tried = 0
        self._number += 1
        value, self._text, self._state = self._text[:end], self._text[end:], "after"
        return Record(self._number, value.encode("utf-8", "surrogatepass"))

    def _broken(self, problem: str) -> Record:
        self._state, self._text = "broken", ""
        return Record(self._number + 1, b"", f"{problem}; what follows was not read")


class Splitter:
    """`Array` if the first character is a bracket, else `Lines`."""

    def __init__(self) -> None:
        self._blank = b""
        self._parts: Lines | Array | None = None

    def feed(self, piece: bytes) -> list[Record]:
        """The records that end in `piece`."""
        if self._parts is None:
            piece = self._blank + piece
            start = piece.lstrip()
            if not start:
                self._blank = piece[-LONGEST:]
                return []
            self._parts = Array() if start.startswith(b"[") else Lines()
        return self._parts.feed(piece)

    def end(self) -> list[Record]:
        """The last record, and what is wrong with the end."""
        return self._parts.end() if self._parts is not None else []


_JSON: Final = json.JSONDecoder()

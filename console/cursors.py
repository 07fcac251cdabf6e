"""Cursors: where the next page begins, as text that a client hands back unread."""

import base64
import binascii
from typing import Any, TypeVar

import msgspec

from console.problems import bad

T = TypeVar("T")


def write_cursor(place: Any) -> str:
    """A cursor for `place`: anything that msgspec can write. It is not secret, and no promise to anybody but us."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).decode().rstrip("=")


def read_cursor(text: str, kind: type[T], field: str = "cursor") -> T:
    """The place that `text` stands for. Raises Problem, naming `field`, if it is none of ours."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return msgspec.msgpack.decode(raw, type=kind)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        raise bad(field, "this is no cursor that came with a page; begin without one") from None

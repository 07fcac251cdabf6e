"""A letter as the bytes that AMQP 0-9-1 wants (its section 4.2): what every letter has in common is put together once.

`pamqp` writes any method and any property, value by value; a letter has one method, four properties, and headers that are
texts and whole numbers.
"""

import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from pamqp import commands, frame

from rabbit.letters import Header, Letter

_START: Final = struct.Struct(">BHI")
_BASIC: Final = struct.Struct(">HHQH")
_LENGTH: Final = struct.Struct(">I")
_NUMBER: Final = struct.Struct(">cq")
_END: Final = b"\xce"
_PROPERTIES: Final = 1 << 15 | 1 << 13 | 1 << 12 | 1 << 7
"""content-type, headers, delivery-mode, message-id: in this order."""
_TYPE: Final = b"\x10application/json"
_PERSISTENT: Final = b"\x02"
_HEADER, _BODY = 2, 3


def frames(letter: Letter, message_id: str, channel: int, most: int, *, mandatory: bool = True) -> Iterator[bytes]:
    """Basic.Publish, its header, and the body in frames of at most `most` bytes."""
    body, table, id = letter.body, _table(letter.headers), message_id.encode()
    yield _publish(letter.exchange, letter.key, channel, mandatory)
    size = 14 + len(_TYPE) + len(table) + len(_PERSISTENT) + 1 + len(id)
    yield _START.pack(_HEADER, channel, size) + _BASIC.pack(60, 0, len(body), _PROPERTIES)
    yield b"%b%b%b%c%b%b" % (_TYPE, table, _PERSISTENT, len(id), id, _END)
    for at in range(0, len(body), most):
        part = body[at : at + most]
        yield _START.pack(_BODY, channel, len(part))
        yield part
        yield _END


@lru_cache(maxsize=512)
def _publish(exchange: str, key: str, channel: int, mandatory: bool) -> bytes:
    return frame.marshal(commands.Basic.Publish(exchange=exchange, routing_key=key, mandatory=mandatory), channel)


def _table(headers: Mapping[str, Header]) -> bytes:
    entries = b"".join([_name(name) + _value(value) for name, value in headers.items()])
    return _LENGTH.pack(len(entries)) + entries


@lru_cache(maxsize=64)
def _name(name: str) -> bytes:
    raw = name.encode()
    return bytes((len(raw),)) + raw


def _value(value: Header) -> bytes:
    if isinstance(value, int):
        return _NUMBER.pack(b"l", value)
    raw = value.encode("utf-8", "replace")
    return b"S" + _LENGTH.pack(len(raw)) + raw

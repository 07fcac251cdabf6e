"""Events and records as tests need them."""

from typing import Any

import msgspec

from activity.chunk import Chunk
from activity.events import Event, Headers, Refused, decode


class Record(msgspec.Struct, frozen=True):
    """A record of Kafka, as `activity.chunk.Record` asks for it."""

    key: bytes | None
    value: bytes | None
    offset: int = 0
    timestamp: int = 0
    headers: Headers = ()


def attributes(**changes: Any) -> dict[str, Any]:
    """The attributes of a right event; None takes one away."""
    found = {"id": "e-1", "source": "/web", "type": "page.viewed", "specversion": "1.0", "subject": "u-1", **changes}
    return {name: value for name, value in found.items() if value is not None}


def value(**changes: Any) -> bytes:
    """A right event as JSON, with `changes`."""
    return msgspec.json.encode(attributes(**changes))


def event(sequence: int | None = None, *, id: str | None = None, source: str = "/web", user: str = "u-1") -> Event:
    """An event as `decode` gives it; its id tells its source and sequence."""
    id = id if id is not None else f"{source}-{sequence}"
    raw = value(id=id, source=source, subject=user, sequence=None if sequence is None else str(sequence))
    return Event(id, source, user, sequence, raw)


def chunk(*records: Record, topic: str = "activity.events", partition: int = 0) -> Chunk:
    """The records as one chunk, their offsets counted from 0 where all are 0."""
    if all(record.offset == 0 for record in records):
        records = tuple(msgspec.structs.replace(record, offset=n) for n, record in enumerate(records))
    return Chunk(topic, partition, records)


def reason(raw: bytes | None, key: bytes | None = b"u-1", headers: Headers = ()) -> str:
    """Why `raw` is refused."""
    found = decode(key, raw, headers)
    assert isinstance(found, Refused)
    return found.reason

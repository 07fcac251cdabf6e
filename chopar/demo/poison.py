"""Records that are no events, one kind for each reason to refuse one."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from activity.events import MAX_EVENT

Attributes = Mapping[str, Any]


def _without_type(event: Attributes) -> bytes:
    return msgspec.json.encode({name: value for name, value in event.items() if name != "type"})


def _too_big(event: Attributes) -> bytes:
    return msgspec.json.encode({**event, "data": {"screenshot": "A" * MAX_EVENT}})


def _latin_1(event: Attributes) -> bytes:
    return msgspec.json.encode({**event, "data": {"city": "#"}}).replace(b"#", "Malmö".encode("latin-1"))


KINDS: Final[Mapping[str, Callable[[Attributes], bytes | None]]] = {
    "null-value": lambda event: None,
    "too-big": _too_big,
    "not-json": lambda event: msgspec.json.encode(event)[:-20],
    "not-utf8": _latin_1,
    "not-an-object": lambda event: msgspec.json.encode([event]),
    "missing-attribute": _without_type,
    "bad-attribute": lambda event: msgspec.json.encode({**event, "time": "yesterday"}),
    "bad-specversion": lambda event: msgspec.json.encode({**event, "specversion": "0.3"}),
    "bad-sequence": lambda event: msgspec.json.encode({**event, "sequence": "007"}),
    "key-mismatch": lambda event: msgspec.json.encode({**event, "subject": f"{event['subject']}x"}),
    "conflict": lambda event: msgspec.json.encode({**event, "id": f"{event['id']}-again"}),
}
"""What each makes of an event that was sent before. `conflict` needs one with a sequence."""

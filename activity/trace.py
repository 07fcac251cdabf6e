"""Where an event belongs in a distributed trace: W3C Trace Context as an attribute of the event, or as a header of its record.

The attribute is the event's own (CloudEvents' extension for distributed tracing) and stays as it is. The header is of the hop:
each that sends the record on puts in its own span.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from activity.names import TRACE_HEADER

Headers = Sequence[tuple[str, bytes | None]]


class Trace(msgspec.Struct, frozen=True):
    """A place in a trace: 32 and 16 hexadecimal digits, and whether what led to it was recorded."""

    trace_id: str
    span_id: str
    sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"


class Traced(msgspec.Struct, frozen=True):
    """A record whose trace is recorded, and whose event it is; of a record that is no event the attributes are empty."""

    trace: Trace
    id: str = ""
    source: str = ""
    subject: str = ""
    type: str = ""
    verdict: str = ""

    @property
    def event(self) -> tuple[str, str, str, str]:
        """The event within its trace: the same on every topic."""
        return self.trace.trace_id, self.subject, self.source, self.id


def read_traceparent(text: str | None) -> Trace | None:
    """The place that a `traceparent` names; None: it is none by W3C Trace Context, 3.2.

    Of a version that is to come only what version 00 has is read (4.3 there).
    """
    if text is None or (found := _TRACEPARENT.fullmatch(text)) is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return Trace(trace_id, span_id, bool(int(flags, 16) & 1))


def trace_id(traceparent: str | None) -> str | None:
    """The trace's id; None if `traceparent` is none."""
    found = read_traceparent(traceparent)
    return None if found is None else found.trace_id


def with_trace_of(raw: bytes, headers: Headers) -> bytes:
    """The event `raw`, a JSON object, with the `traceparent` of its record's headers, if they have one and it has none."""
    place = _hop(headers)
    if place is None or (_NAME in raw and _attributes(raw).traceparent is not msgspec.UNSET):
        return raw
    return b'%b,"traceparent":"%b"}' % (raw.rstrip(b" \t\r\n")[:-1], str(place).encode())


def traced(value: bytes | None, headers: Headers) -> Traced | None:
    """The trace that a record belongs to; None: there is none, or it is not recorded.

    The event's own word decides which trace that is. Of the same trace the header names the later span. A record that has
    neither, or whose trace is not recorded, costs a look at its bytes and is not decoded.
    """
    if not headers and (value is None or _NAME not in value or _SAMPLED.search(value) is None):
        return None
    hop = _hop(headers)
    found = _of_binary_mode(headers) or _attributes(value)
    own = read_traceparent(found.traceparent if isinstance(found.traceparent, str) else None)
    place = hop if own is None or (hop is not None and hop.trace_id == own.trace_id) else own
    if place is None or not place.sampled:
        return None
    return Traced(place, found.id, found.source, found.subject, found.type, found.verdict)


class _Attributes(msgspec.Struct, gc=False):
    id: str = ""
    source: str = ""
    subject: str = ""
    type: str = ""
    verdict: str = ""
    traceparent: str | msgspec.UnsetType | None = msgspec.UNSET


_decoder: Final = msgspec.json.Decoder(_Attributes)
_NAME: Final = b'"traceparent"'
_SAMPLED: Final = re.compile(rb'"traceparent"\s*:\s*"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f][13579bdf]["-]')
"""The attribute, or a member of `data` of the same name, as JSON is written where nobody hides letters behind escapes."""
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)


def _hop(headers: Headers) -> Trace | None:
    for name, value in headers:
        if name == TRACE_HEADER and value is not None:
            return read_traceparent(value.decode("ascii", "replace"))
    return None


def _attributes(value: bytes | None) -> _Attributes:
    try:
        return _decoder.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Attributes()


def _of_binary_mode(headers: Headers) -> _Attributes | None:
    """The attributes of an event in binary mode; None: it is in another."""
    named: Mapping[str, bytes | None] = dict(headers)
    if "ce_id" not in named:
        return None
    return _Attributes(
        **{name: (named.get(f"ce_{name}") or b"").decode("utf-8", "replace") for name in _Attributes.__struct_fields__}
    )

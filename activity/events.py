"""Events: CloudEvents 1.0 on Kafka, decoded with a reason for each that can't be.

Sources: CloudEvents 1.0.2 (core), its JSON event format, and its Kafka protocol binding (structured and binary mode).
"""

import base64
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Final, Literal

import msgspec

from activity.trace import with_trace_of

MAX_EVENT: Final = 256 * 1024
"""The most bytes an event may have as JSON."""
MAX_TEXT: Final = 512
"""The most bytes that id, source, type and subject may have: Postgres can't keep longer ones together in an index."""
SHORT: Final = MAX_TEXT // 4
"""A text of so many characters is short enough in any case."""
MAX_DEPTH: Final = 128
"""How deep objects and arrays may stand in one another: far below what makes a JSON reader run out of stack."""

Headers = Sequence[tuple[str, bytes | None]]
"""Kafka allows a header without a value."""
Verdict = Literal["logged", "late"]


class Event(msgspec.Struct, frozen=True, gc=False):
    """An event that may be sequenced. `raw` is its JSON object, as it came (binary mode: written as one)."""

    id: str
    source: str
    user: str
    sequence: int | None
    raw: bytes


class Refused(msgspec.Struct, frozen=True):
    """A record that is not an event. `reason` is a code that groups, `problem` a sentence that names the attribute."""

    reason: str
    problem: str


class LogRecord(msgspec.Struct, frozen=True):
    """A record of `activity.log`: the event's attributes and what the sequencer added to them."""

    id: str
    source: str
    type: str
    subject: str
    position: int
    verdict: Verdict
    received: str
    time: str | None = None
    sequence: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")
    traceparent: str | None = None


def decode(key: bytes | None, value: bytes | None, headers: Headers = ()) -> Event | Refused:
    """The event that a record of `activity.events` holds, or why it holds none. Never raises, whatever the bytes.

    A record without a key is decoded too: `Event.user` says which key it should have had. A header `traceparent` becomes the
    event's attribute if it has none.
    """
    if headers and is_binary_mode(headers):
        written = from_binary_mode(value, headers)
        if isinstance(written, Refused):
            return written
        value = written
    if value is None:
        return Refused("null-value", "the record has no value; an event was expected")
    event = _quickly(key, value) or _thoroughly(key, value)
    if headers and isinstance(event, Event) and (raw := with_trace_of(event.raw, headers)) is not event.raw:
        return msgspec.structs.replace(event, raw=raw)
    return event


def read_usual(value: bytes | None) -> "Usual | None":
    """The attributes of an event that is as events mostly are, or None: then it has to be looked at thoroughly.

    What is left to check: that `subject` and `source` are printable, and how `sequence` is written.
    """
    try:
        found = _quick_decoder.decode(value)  # type: ignore[arg-type]  # None is a TypeError, which costs nothing otherwise
    except _NOT_USUAL:
        return None
    assert value is not None  # noqa: S101  (for mypy)
    if (
        not (found.id.isprintable() and found.type.isprintable())
        or (not value.isascii() and _not_utf8(value))
        or (found.traceparent is not None and not found.traceparent.isprintable())
        or (len(value) > 2 * MAX_DEPTH and (len(value) > MAX_EVENT or value.count(b"{") + value.count(b"[") > MAX_DEPTH))
    ):
        return None
    return found


def _quickly(key: bytes | None, value: bytes) -> Event | None:
    """The event, if all is as it mostly is. Most checks are the decoder's then, and no word has to be found for what is wrong."""
    found = read_usual(value)
    if found is None:
        return None
    user, text = found.subject, found.sequence
    if (
        key != user.encode()
        or (text is not None and not (text.isascii() and text.isdigit() and text[0] != "0"))
        or not (found.source.isprintable() and user.isprintable())
    ):
        return None
    return Event(found.id, found.source, user, None if text is None else int(text), value)


def _thoroughly(key: bytes | None, value: bytes) -> Event | Refused:
    if len(value) > MAX_EVENT:
        return Refused("too-big", f"the event has {len(value):,} bytes; {MAX_EVENT:,} is the limit")
    try:
        found = _decoder.decode(value)
    except msgspec.ValidationError as error:
        return _invalid(value, str(error))
    except _UNREADABLE as error:
        return _unreadable(value, error)
    if not value.isascii() and (broken := _not_utf8(value)):  # attributes that are passed over were not looked at
        return broken
    if len(value) > 2 * MAX_DEPTH and value.count(b"{") + value.count(b"[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        return _TOO_DEEP
    return _checked(key, found, value)


def log_value(raw: bytes, position: int, verdict: Verdict, received: float) -> bytes:
    """The value on `activity.log`: the event's own bytes with `position`, `verdict` and `received` (Unix seconds) added."""
    return with_ending(raw, position, log_ending(verdict, received))


def with_ending(raw: bytes, position: int, ending: bytes) -> bytes:
    """As `log_value`, with what `log_ending` gave."""
    if raw[-1] != 0x7D:  # the closing brace
        raw = raw.rstrip(b" \t\r\n")
    return b'%.*b,"position":%d%b' % (len(raw) - 1, raw, position, ending)


@lru_cache(maxsize=64)  # the broker gives all records of a batch one time
def log_ending(verdict: Verdict, received: float) -> bytes:
    """The end of a value on `activity.log`: `verdict` and `received` (Unix seconds)."""
    return f',"verdict":"{verdict}","received":"{rfc3339(received)}"}}'.encode()


def decode_log(value: bytes) -> LogRecord:
    """A record of `activity.log`. Raises msgspec.DecodeError, whose text names the attribute, if it is none."""
    try:
        return _log_decoder.decode(value)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None


def rfc3339(seconds: float) -> str:
    """Unix seconds as an RFC 3339 time in UTC with milliseconds, `2026-01-31T09:30:00.125Z`; the year is between 1 and 9999."""
    return datetime.fromtimestamp(min(max(seconds, _FIRST), _LAST), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_FIRST: Final = datetime.min.replace(tzinfo=UTC).timestamp()
_LAST: Final = datetime.max.replace(tzinfo=UTC, microsecond=0).timestamp()
"""Kafka takes any timestamp from who writes."""


class _Attributes(msgspec.Struct, gc=False):
    """The attributes that decide; extensions pass through unread."""

    id: str
    source: str
    type: str
    specversion: str
    subject: str
    time: str | None = None
    sequence: str | None = None
    traceparent: str | None = None
    position: msgspec.Raw = msgspec.Raw()
    verdict: msgspec.Raw = msgspec.Raw()
    received: msgspec.Raw = msgspec.Raw()


_Short = Annotated[str, msgspec.Meta(min_length=1, max_length=SHORT)]


class Usual(msgspec.Struct, gc=False):
    """The attributes as they mostly are."""

    id: _Short
    source: _Short
    type: _Short
    specversion: Literal["1.0"]
    subject: _Short
    time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    sequence: Annotated[str, msgspec.Meta(min_length=1, max_length=18)] | None = None
    traceparent: str | None = None
    position: msgspec.UnsetType = msgspec.UNSET
    verdict: msgspec.UnsetType = msgspec.UNSET
    received: msgspec.UnsetType = msgspec.UNSET


_quick_decoder: Final = msgspec.json.Decoder(Usual)
_decoder: Final = msgspec.json.Decoder(_Attributes)
_log_decoder: Final = msgspec.json.Decoder(LogRecord)
_json: Final = msgspec.json.Decoder(msgspec.Raw)
_time: Final = msgspec.json.Decoder(datetime)
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_NOT_USUAL: Final = (*_UNREADABLE, TypeError)
_TOO_DEEP: Final = Refused("too-deep", f"objects and arrays stand in one another more than {MAX_DEPTH} deep")
_SEQUENCE: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_TEXTS: Final = ("id", "source", "type", "subject")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _checked(key: bytes | None, found: _Attributes, raw: bytes) -> Event | Refused:
    if found.specversion != "1.0":
        return Refused("bad-specversion", f"specversion is {found.specversion[:20]!r}; '1.0' was expected")
    if bad := _bad_attribute(found):
        return Refused("bad-attribute", bad)
    sequence = None
    if found.sequence is not None:
        if _SEQUENCE.fullmatch(found.sequence) is None:
            return Refused("bad-sequence", "sequence must be decimal digits, from 1, without leading zeros")
        sequence = int(found.sequence)
    if key is not None and key != found.subject.encode():  # msgspec lets no lone surrogate pass
        return Refused("key-mismatch", "the record's key is not the event's subject")
    return Event(found.id, found.source, found.subject, sequence, raw)


def _bad_attribute(found: _Attributes) -> str | None:
    if not (found.id and found.source and found.type and found.subject):
        return f"{next(name for name in _TEXTS if not getattr(found, name))} is empty"
    if len(found.id) > SHORT or len(found.source) > SHORT or len(found.type) > SHORT or len(found.subject) > SHORT:
        for name in _TEXTS:
            if len(getattr(found, name).encode()) > MAX_TEXT:
                return f"{name} has more than {MAX_TEXT} bytes"
    printable = found.id.isprintable() and found.source.isprintable() and found.type.isprintable() and found.subject.isprintable()
    if not printable or found.traceparent is not None:  # CloudEvents 1.0.2, 2.1; and Postgres can't hold a NUL
        for name in (*_TEXTS, "traceparent"):
            if _CONTROL.search(getattr(found, name) or ""):
                return f"{name} has a control character"
    if found.position or found.verdict or found.received:
        return "position, verdict and received are added here; an event may not bring them"
    if found.time is not None and not _is_time(found.time):
        return "time is no RFC 3339 time"
    return None


def _is_time(text: str) -> bool:
    try:
        return "\\" not in text and _time.decode(f'"{text}"').tzinfo is not None
    except msgspec.DecodeError:
        return False


def _unreadable(raw: bytes, error: Exception) -> Refused:
    if broken := _not_utf8(raw):
        return broken
    return _TOO_DEEP if isinstance(error, RecursionError) else Refused("not-json", str(error))


def _not_utf8(raw: bytes) -> Refused | None:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return Refused("not-utf8", f"byte {error.start} is not UTF-8")
    return None


_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b'[]{}"')
_ALIKE: Final = bytes.maketrans(b"{}", b"[]")


def _depth(raw: bytes) -> int:
    """How deep the objects and arrays of `raw`, which is JSON, stand in one another; counted to just above the limit."""
    without_escapes = re.sub(rb"\\.", b"", raw)
    brackets = re.sub(rb'"[^"]*"', b"", without_escapes.translate(_ALIKE, _NOT_BRACKETS))
    depth = 0
    while brackets and depth <= MAX_DEPTH:
        brackets = brackets.replace(b"[]", b"")  # the innermost of each branch
        depth += 1
    return depth


def _invalid(raw: bytes, problem: str) -> Refused:
    try:
        _json.decode(raw)  # a wrong attribute is reported before what follows it is read
    except _UNREADABLE as error:
        return _unreadable(raw, error)
    if problem.startswith("Expected `object`") and "`$" not in problem:
        return Refused("not-an-object", problem)
    if "missing required field" in problem:
        return Refused("missing-attribute", problem)
    if "`$.sequence`" in problem:
        return _not_utf8(raw) or Refused("bad-sequence", 'sequence must be a string of decimal digits, like "7"')
    return _not_utf8(raw) or Refused("bad-attribute", problem)


def is_binary_mode(headers: Headers) -> bool:
    """Kafka protocol binding, 1.3 and 3.3.3: a structured event may have the `ce_` headers too; its content type tells."""
    content_type = next((value for name, value in headers if name.lower() == "content-type"), None) or b""
    is_structured = content_type.lower().startswith(b"application/cloudevents")
    return not is_structured and any(name == "ce_specversion" for name, _ in headers)


def from_binary_mode(value: bytes | None, headers: Headers) -> bytes | Refused:
    """Binary mode: attributes are `ce_` headers, the value is the data; written as one JSON object. No value: no data."""
    written: dict[str, Any] = {}
    for name, header in headers:
        is_attribute = name.startswith("ce_")
        if header is None or not (is_attribute or name.lower() == "content-type"):
            continue
        attribute = name.removeprefix("ce_") if is_attribute else "datacontenttype"
        if attribute in ("data", "data_base64"):
            return Refused("bad-attribute", f"{name}: data is the record's value, not a header")
        try:
            written[attribute] = header.decode()
        except UnicodeDecodeError:
            return Refused("not-utf8", f"header {name} is not UTF-8")
    media = written.get("datacontenttype", "").partition(";")[0].strip().lower()
    if not value:
        return msgspec.json.encode(written)
    if media in ("", "application/json") or media.endswith("+json"):
        try:
            written["data"] = _json.decode(value)
        except _UNREADABLE as error:
            return _unreadable(value, error)
    else:
        written["data_base64"] = base64.b64encode(value).decode()
    return msgspec.json.encode(written)

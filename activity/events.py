"""Events: CloudEvents 1.0 on Kafka, decoded with a reason for each that can't be.

Sources: CloudEvents 1.0.2 (core), its JSON event format, and its Kafka protocol binding (structured and binary mode).
"""

import base64
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

MAX_EVENT: Final = 256 * 1024
"""The most bytes an event's value may have."""

Headers = Sequence[tuple[str, bytes]]
Verdict = Literal["logged", "late"]


class Event(msgspec.Struct, frozen=True):
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

    A record without a key is decoded too: `Event.user` says which key it should have had.
    """
    if value is None:
        return Refused("null-value", "the record has no value; an event was expected")
    if len(value) > MAX_EVENT:
        return Refused("too-big", f"the value has {len(value):,} bytes; {MAX_EVENT:,} is the limit")
    raw = value
    if headers and any(name == "ce_specversion" for name, _ in headers):
        written = _from_binary_mode(value, headers)
        if isinstance(written, Refused):
            return written
        raw = written
    try:
        found = _decoder.decode(raw)
    except msgspec.ValidationError as error:
        return _invalid(raw, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _not_json(raw, str(error))
    if not raw.isascii() and (broken := _not_utf8(raw)):  # attributes that are passed over were not looked at
        return broken
    return _checked(key, found, raw)


def log_value(raw: bytes, position: int, verdict: Verdict, received: float) -> bytes:
    """The value on `activity.log`: the event's own bytes with `position`, `verdict` and `received` (Unix seconds) added."""
    body = raw.rstrip(b" \t\r\n")[:-1]
    return b'%b,"position":%d,"verdict":"%b","received":"%b"}' % (body, position, verdict.encode(), rfc3339(received).encode())


def decode_log(value: bytes) -> LogRecord:
    """A record of `activity.log`. Raises msgspec.DecodeError, whose text names the attribute, if it is none."""
    try:
        return _log_decoder.decode(value)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None


def rfc3339(seconds: float) -> str:
    """Unix seconds as an RFC 3339 time in UTC with milliseconds, `2026-01-31T09:30:00.125Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Attributes(msgspec.Struct):
    """The attributes that decide; extensions pass through unread."""

    id: str
    source: str
    type: str
    specversion: str
    subject: str
    time: str | None = None
    sequence: str | None = None
    traceparent: str | None = None
    position: msgspec.Raw | None = None
    verdict: msgspec.Raw | None = None
    received: msgspec.Raw | None = None


_decoder: Final = msgspec.json.Decoder(_Attributes)
_log_decoder: Final = msgspec.json.Decoder(LogRecord)
_SEQUENCE: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_TIME: Final = msgspec.json.Decoder(datetime)


def _checked(key: bytes | None, found: _Attributes, raw: bytes) -> Event | Refused:
    if found.specversion != "1.0":
        return Refused("bad-specversion", f"specversion is {found.specversion[:20]!r}; '1.0' was expected")
    if not (found.id and found.source and found.type and found.subject):
        empty = next(name for name in ("id", "source", "type", "subject") if not getattr(found, name))
        return Refused("bad-attribute", f"{empty} is empty")
    if found.position is not None or found.verdict is not None or found.received is not None:
        return Refused("bad-attribute", "position, verdict and received are added here; an event may not bring them")
    if found.time is not None and not _is_time(found.time):
        return Refused("bad-attribute", "time is no RFC 3339 time")
    sequence = None
    if found.sequence is not None:
        if _SEQUENCE.fullmatch(found.sequence) is None:
            return Refused("bad-sequence", "sequence must be decimal digits, from 1, without leading zeros")
        sequence = int(found.sequence)
    try:
        user = found.subject.encode()
    except UnicodeEncodeError:
        return Refused("bad-attribute", "subject has a lone surrogate, which UTF-8 can't hold")
    if key is not None and key != user:
        return Refused("key-mismatch", "the record's key is not the event's subject")
    return Event(found.id, found.source, found.subject, sequence, raw)


def _is_time(text: str) -> bool:
    try:
        return _TIME.decode(f'"{text}"').tzinfo is not None
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False


def _not_json(raw: bytes, problem: str) -> Refused:
    return _not_utf8(raw) or Refused("not-json", problem)


def _not_utf8(raw: bytes) -> Refused | None:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return Refused("not-utf8", f"byte {error.start} is not UTF-8")
    return None


def _invalid(raw: bytes, problem: str) -> Refused:
    if problem.startswith("Expected `object`") and "`$" not in problem:
        return Refused("not-an-object", problem)
    if "missing required field" in problem:
        return Refused("missing-attribute", problem)
    try:
        msgspec.json.decode(raw)  # a wrong attribute is reported before what follows it is read
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _not_json(raw, str(error))
    return Refused("bad-attribute", problem)


def _from_binary_mode(value: bytes, headers: Headers) -> bytes | Refused:
    """Binary mode: attributes are `ce_` headers, the value is the data; written as one JSON object."""
    written: dict[str, Any] = {}
    content_type = ""
    for name, header in headers:
        try:
            text = header.decode()
        except UnicodeDecodeError:
            return Refused("not-utf8", f"header {name} is not UTF-8")
        if name.startswith("ce_"):
            written[name.removeprefix("ce_")] = text
        elif name.lower() == "content-type":
            content_type = written["datacontenttype"] = text
    media = content_type.partition(";")[0].strip().lower()
    if not media or media == "application/json" or media.endswith("+json"):
        try:
            msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _not_json(value, str(error))
        written["data"] = msgspec.Raw(value)
    else:
        written["data_base64"] = base64.b64encode(value).decode()
    return msgspec.json.encode(written)

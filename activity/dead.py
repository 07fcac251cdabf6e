"""A dead letter as the desk keeps it: from either broker, with where it came from and why it is there. Pure.

Its id is made of what stays the same when it comes again: a crash may put it on its topic or queue twice, and the desk knows
it by its id.

    activity.dead   what was refused, where, and why: topic, partition, offset, reason, problem
    email.dead      the job, its attempt and the reason: a replay that fails has a later attempt, so it is a letter of its own
                    what RabbitMQ put there itself, or what is no job: the message's id, new for each publish
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from activity import names
from activity.chunk import Record
from activity.jobs import decode_job, identity

Broker = Literal["kafka", "rabbitmq"]
LetterState = Literal["open", "replayed", "discarded"]
What = Literal["edited", "replayed", "discarded", "reopened"]

UNKNOWN: Final = "unknown"
"""The reason of a letter that has none: somebody else wrote it."""
DELIVERY_LIMIT: Final = "delivery-limit"
"""The reason of a job that RabbitMQ handed out too often without ever hearing of it again."""
MOST_TOLD: Final = 500
"""Characters of a problem that are kept: it may quote a header's name, which may be a MiB."""

UNSTORABLE: Final = "unstorable"
"""The reason of a letter of which the store can hold the beginning only."""

_ERROR: Final = names.ERROR_HEADER
_LARGEST: Final = 2**31 - 1
"""The largest partition and attempt there can be: to Kafka, to us and to Postgres."""
_DEATHS: Final = "x-death"
"""RabbitMQ's own: where a message was dead-lettered before, the last time first."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One dead letter, untouched. `origin`: the topic or queue that it was taken from when it was refused.

    `partition` and `offset` say where on a topic. `message_id` and the job's id and attempt say which message of a queue; its
    routing key is its `key`. `user` is whom it is about, if that can be told. `first_seen`: when it died, Unix seconds.
    """

    id: str
    broker: Broker
    origin: str
    partition: int | None = None
    offset: int | None = None
    message_id: str = ""
    job: str = ""
    attempt: int = 0
    reason: str
    problem: str = ""
    user: str = ""
    key: bytes | None = None
    headers: list[tuple[str, bytes | None]] = []
    payload: bytes | None = None
    first_seen: float


class ActionRow(msgspec.Struct, frozen=True):
    """What somebody did with a letter; `number` counts from 1. Undoing a discard is `reopened`."""

    number: int
    at: float
    by: str
    what: What
    note: str


class DeskEntry(msgspec.Struct, frozen=True):
    """A letter and what was done with it, oldest first, without what stands in it. `first_seen`: when it died, Unix seconds."""

    id: str
    state: LetterState
    origin: str
    partition: int | None
    offset: int | None
    reason: str
    problem: str
    job: str
    first_seen: float
    actions: list[ActionRow]


def from_topic(partition: int, record: Record) -> DeadLetter:
    """The letter that a record of `activity.dead` is. One that does not say where it came from is its own origin."""
    headers = dict(record.headers)
    reason, problem = _text(headers.get(names.REASON_HEADER)) or UNKNOWN, _text(headers.get(f"{_ERROR}message"))
    topic, number, offset = (_text(headers.get(f"{_ERROR}{name}")) for name in ("topic", "partition", "offset"))
    place = _number(number, _LARGEST), _number(offset, 2**63 - 1)
    if topic not in (names.EVENTS, names.LOG) or None in place:
        topic, number, offset = names.DEAD, str(partition), str(record.offset)
        place = partition, record.offset
    return DeadLetter(
        id=identity("dead-letter", topic, number, offset, reason, problem),
        broker="kafka",
        origin=topic,
        partition=place[0],
        offset=place[1],
        reason=reason,
        problem=problem[:MOST_TOLD],
        user=_text(record.key),
        key=record.key,
        headers=list(record.headers),
        payload=record.value,
        first_seen=record.timestamp / 1000,
    )


def from_queue(body: bytes, headers: Mapping[str, Any], message_id: str, now: float) -> DeadLetter:
    """The letter that a message of `email.dead` is; `headers` as RabbitMQ's client gives them, of any type."""
    job, attempt, reason = (headers.get(name) for name in (names.JOB_HEADER, names.ATTEMPT_HEADER, names.REASON_HEADER))
    number = attempt if type(attempt) is int and 0 <= attempt <= _LARGEST else 0
    by_us, known = reason is not None and attempt in (None, number), _text(job)
    told = _text(reason) if by_us else DELIVERY_LIMIT if headers.get(_DEATHS) else UNKNOWN
    key = _text(headers.get(names.KEY_HEADER)) or _key_before(headers.get(_DEATHS))
    message = [message_id] if message_id else ["", body.decode("latin-1")]
    return DeadLetter(
        id=identity("dead-letter", names.DEAD_QUEUE, *([known, str(number), told] if by_us and known else message)),
        broker="rabbitmq",
        origin=names.BULK_QUEUE if key.startswith(names.BULK_QUEUE) else names.TRANSACTIONAL_QUEUE,
        message_id=message_id,
        job=known,
        attempt=number,
        reason=told,
        problem=_text(headers.get(names.REPLY_HEADER))[:MOST_TOLD],
        user=_user(body),
        key=key.encode(),
        headers=[(name, _bytes(value)) for name, value in headers.items()],
        payload=body,
        first_seen=now,
    )


def in_part(letter: DeadLetter, room: int = 64 * 1024) -> DeadLetter:
    """What any store can hold of a letter that it refused: its id, its origin, and the first `room` bytes of its payload."""
    size = len(letter.payload or b"") + sum(len(name) + len(value or b"") for name, value in letter.headers)
    place = "" if letter.partition is None else f"partition {letter.partition}, offset {letter.offset}; "
    return DeadLetter(
        id=letter.id,
        broker=letter.broker,
        origin=letter.origin,
        reason=UNSTORABLE,
        problem=f"the store could not hold all of it: {place}{letter.reason}: {letter.problem}"[:1000],
        headers=[(names.CUT_HEADER, str(size).encode())],
        payload=letter.payload and letter.payload[:room],
        first_seen=letter.first_seen,
    )


def _user(body: bytes) -> str:
    try:
        return decode_job(body).user
    except msgspec.DecodeError:
        return ""


def _key_before(deaths: Any) -> str:
    """The routing key under which RabbitMQ had the message when it gave it up."""
    newest = deaths[0] if isinstance(deaths, Sequence) and deaths and isinstance(deaths[0], Mapping) else {}
    keys = newest.get("routing-keys")
    return _text(keys[0]) if isinstance(keys, Sequence) and keys else ""


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _bytes(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    return value.encode("utf-8", "replace") if isinstance(value, str) else msgspec.json.encode(value, enc_hook=_shown)


def _shown(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _number(text: str, largest: int) -> int | None:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
    return None if number is None or number > largest else number

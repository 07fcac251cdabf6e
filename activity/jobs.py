"""A job: one piece of work that an event led to, as it stands in RabbitMQ."""

import uuid
from typing import Annotated, Any, Final, Literal

import msgspec

from activity.names import routing_key
from activity.timing import Moment

NAMESPACE: Final = uuid.UUID("7f4a1c1e-7a3c-5b1a-9a53-6f0d2d1c9e11")
"""The UUIDv5 namespace of job ids (RFC 9562, section 5.5). Never change it: repeats would no longer be recognised."""
VERSION: Final = 1
LONGEST_ID: Final = 200
"""Characters of an id. Ours have 36; Postgres keeps none in its index that has more than 2,704 bytes."""
LONGEST_KEY: Final = 255
"""Bytes of a routing key, which AMQP sets; the rule's name stands in it."""

_LATEST: Final = 253_402_300_799.0
"""The last second of the year 9999."""

JobClass = Literal["transactional", "bulk"]
JobState = Literal["scheduled", "sending", "waiting", "sent", "dead", "cancelled", "unknown"]


class Job(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A job is JSON; the same event and rule always make the same one, byte for byte.

    `event` is what rules and templates see: id, source, type, subject, time, data. `unsubscribe` is where the recipient of a
    bulk mail leaves the list. The job is not done before `send_at`.
    """

    id: Annotated[str, msgspec.Meta(max_length=LONGEST_ID)]
    version: int = VERSION
    task: str = "email"
    rule: str
    job_class: JobClass = msgspec.field(name="class")
    user: str
    to: str
    template: str
    event: dict[str, Any]
    unsubscribe: str | None = None
    send_at: Moment | None = None
    traceparent: str | None = None

    @property
    def key(self) -> str:
        """The routing key it is published under."""
        return routing_key(self.job_class, self.rule)

    @property
    def due(self) -> float | None:
        """`send_at` in Unix seconds, of the years that a clock in UTC can show."""
        return None if self.send_at is None else min(max(self.send_at.timestamp(), 0.0), _LATEST)


def job_id(user: str, source: str, event_id: str, rule: str) -> str:
    """UUIDv5 of (user, source, event id, rule)."""
    return identity(user, source, event_id, rule)


def identity(*parts: str) -> str:
    """UUIDv5 of `parts`; they are told apart by their lengths, so none can imitate another."""
    return str(uuid.uuid5(NAMESPACE, "".join(f"{len(part)}:{part}" for part in parts)))


def encode_job(job: Job) -> bytes:
    """The job as canonical JSON in UTF-8."""
    return _encoder.encode(job)


def decode_job(raw: bytes) -> Job:
    """The job that `raw` holds. Raises `msgspec.ValidationError` or `msgspec.DecodeError`, whose text names the field."""
    try:
        job = _decoder.decode(raw)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None
    if job.version != VERSION:
        raise msgspec.ValidationError(f"Expected version {VERSION}, got {job.version} - at `$.version`")
    if len(job.key.encode(errors="replace")) > LONGEST_KEY:
        raise msgspec.ValidationError(f"Expected a routing key of at most {LONGEST_KEY} bytes - at `$.rule`")
    return job


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Job)

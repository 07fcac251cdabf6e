"""A letter: one message on its way to an exchange. All that this side publishes is made here."""

from typing import Final

import msgspec

from activity.jobs import Job, encode_job
from activity.names import (
    ATTEMPT_HEADER,
    BEFORE_HEADER,
    DEAD_EXCHANGE,
    DEAD_QUEUE,
    DELAY_HEADER,
    DUE_HEADER,
    JOB_HEADER,
    JOBS_EXCHANGE,
    KEY_HEADER,
    LOST_HEADER,
    REASON_HEADER,
    REPLY_HEADER,
    RETRY_EXCHANGE,
    TRACE_HEADER,
)
from activity.trace import read_traceparent

LONGEST_REPLY: Final = 500

Header = str | int


class Letter(msgspec.Struct, frozen=True):
    """A persistent message; it counts as published only when the broker has confirmed and routed it."""

    exchange: str
    key: str
    body: bytes
    headers: dict[str, Header]


def first_letter(job: Job) -> Letter:
    """A job's first attempt, in its event's trace."""
    return in_trace(job.traceparent, due_letter(job.id, job.key, encode_job(job), 1))


def due_letter(id: str, key: str, body: bytes, attempt: int, before: int = 0) -> Letter:
    """A job as attempt number `attempt`, on its queue at once. `before`: see `Delivery`."""
    return counting_from(before, Letter(JOBS_EXCHANGE, key, body, {JOB_HEADER: id, ATTEMPT_HEADER: attempt}))


def counting_from(before: int, letter: Letter) -> Letter:
    """The letter of a job that had so many attempts before it was replayed."""
    return msgspec.structs.replace(letter, headers={**letter.headers, BEFORE_HEADER: before}) if before else letter


def in_trace(traceparent: str | None, letter: Letter) -> Letter:
    """The letter of a job that belongs to this place in a trace, if it is one."""
    if traceparent is None or (place := read_traceparent(traceparent)) is None:
        return letter
    return msgspec.structs.replace(letter, headers={**letter.headers, TRACE_HEADER: str(place)})


def delayed_letter(job: Job, body: bytes, attempt: int, seconds: int, due: float | None = None, lost: int = 0) -> Letter:
    """The job as attempt number `attempt`, back on its queue after `seconds` (one of the tiers).

    `due`: its appointment. `lost`: see `Delivery`.
    """
    headers: dict[str, Header] = {JOB_HEADER: job.id, ATTEMPT_HEADER: attempt, DELAY_HEADER: seconds}
    if due is not None:
        headers[DUE_HEADER] = int(due * 1000)
    if lost:
        headers[LOST_HEADER] = lost
    return Letter(RETRY_EXCHANGE, job.key, body, headers)


def dead_letter(body: bytes, key: str, reason: str, reply: str = "", attempt: int = 1, job: str = "") -> Letter:
    """A message that will never succeed as it is, untouched, with its reason and where it came from. `job`: its id, if known."""
    headers: dict[str, Header] = {ATTEMPT_HEADER: attempt, REASON_HEADER: reason, KEY_HEADER: key}
    if job:
        headers[JOB_HEADER] = job
    if reply:
        headers[REPLY_HEADER] = reply[:LONGEST_REPLY]
    return Letter(DEAD_EXCHANGE, DEAD_QUEUE, body, headers)

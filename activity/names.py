"""Every name that stands on a broker: topics, exchanges, queues, routing keys, headers.

They are public: other programs read and write by them. Change one only with a migration.
"""

from typing import Final

# -- Kafka -------------------------------------------------------------------------------------------------------------
EVENTS: Final = "activity.events"
LOG: Final = "activity.log"
DEAD: Final = "activity.dead"

APP: Final = "chopar"
NOTIFY_APP: Final = "chopar-notify"
USERS: Final = "users"
USERS_CHANGELOG: Final = f"{APP}-{USERS}-changelog"

KIND_HEADER: Final = "chopar-kind"
"""On a record of `activity.events` that is not an event; the only kind is `TICK`."""
TICK: Final = b"tick"
MOVED_HEADER: Final = "chopar-moved"
"""On an event that was sent again because it had no key or lay on another user's partition: `topic/partition/offset`."""
REASON_HEADER: Final = "chopar-reason"
CUT_HEADER: Final = "chopar-cut"
"""On a dead letter that was too large to be kept whole: how many bytes it had, about ten more for each header."""
ERROR_HEADER: Final = "__streams.errors."
"""Kafka Streams' own prefix (KIP-1034), followed by exception, message, topic, partition, offset."""

TRACE_HEADER: Final = "traceparent"
"""On a record and on a job: the span that sent it, by W3C Trace Context. On what others send, too."""

# -- RabbitMQ ----------------------------------------------------------------------------------------------------------
JOBS_EXCHANGE: Final = "chopar.jobs"
RETRY_EXCHANGE: Final = "chopar.retry"
DEAD_EXCHANGE: Final = "chopar.dead"
LIFECYCLE_EXCHANGE: Final = "chopar.lifecycle"
CONTROL_EXCHANGE: Final = "chopar.control"
"""Orders to all mailers that run (fanout): pause, resume, how many workers; each answers."""

TRANSACTIONAL_QUEUE: Final = "email.transactional"
BULK_QUEUE: Final = "email.bulk"
DEAD_QUEUE: Final = "email.dead"

JOB_HEADER: Final = "chopar-job"
ATTEMPT_HEADER: Final = "chopar-attempt"
DELAY_HEADER: Final = "chopar-delay"
"""On a message for `chopar.retry`: how many seconds it waits, one of `activity.retry.TIERS`."""
DELIVERY_COUNT_HEADER: Final = "x-delivery-count"
"""RabbitMQ's own, on a message of a quorum queue that came back: how often it did."""
LOST_HEADER: Final = "chopar-lost"
"""On a job that was put off: how often it had come back before, which RabbitMQ forgets when it is published anew."""
BEFORE_HEADER: Final = "chopar-before"
"""On a job that was replayed from the dead-letter desk: how many attempts it had before, which count no more."""
DUE_HEADER: Final = "chopar-due"
"""On a job that waits for its domain's turn: when that is, in Unix milliseconds."""
REPLY_HEADER: Final = "chopar-reply"
"""On a dead letter: the words of the far end, cut short."""
KEY_HEADER: Final = "chopar-key"
"""On a dead letter: the routing key it had, so that it can be replayed to where it came from."""


def routing_key(job_class: str, rule: str) -> str:
    """The key under which a job is published: `email.<class>.<rule>`."""
    return f"email.{job_class}.{rule}"


def delay_queue(seconds: int) -> str:
    """The queue in which a job waits `seconds`, a power of two."""
    return f"chopar.retry.{seconds}s"

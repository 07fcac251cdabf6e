"""What follows from the outcome of an attempt: the message to send before the job's own is acknowledged. Pure."""

import msgspec

from activity.claims import Policy
from activity.jobs import Job
from activity.outcomes import Dead, Outcome, Retry, Sent, Unknown
from activity.retry import TIERS, backoff, tier
from rabbit.letters import Letter, dead_letter, delayed_letter

SHORT = 4.0
"""Seconds that a job waits which did not get its turn, so its attempt is not burnt."""


class Terms(msgspec.Struct, frozen=True):
    """How often and when an attempt is repeated."""

    max_attempts: int = 8
    base: float = 1.0
    cap: float = 3600.0
    policy: Policy = "resend"


def settled(outcome: Outcome, attempt: int, terms: Terms) -> Outcome:
    """The outcome as it is written down: an attempt that may not be repeated since it was the last one makes the job dead."""
    if attempt < terms.max_attempts:
        return outcome
    match outcome:
        case Retry():
            return Dead("spent", outcome.reason)
        case Unknown() if terms.policy == "resend":
            return Dead("spent", f"unknown: {outcome.reason}")
    return outcome


def letter_after(outcome: Outcome, job: Job, body: bytes, attempt: int, terms: Terms, jitter: float) -> Letter | None:
    """What has to be published for attempt number `attempt` that ended so; None if the job has ended without a letter."""
    match outcome:
        case Sent():
            return None
        case Dead():
            return dead_letter(body, job.key, outcome.reason, outcome.reply, attempt, job.id)
        case Unknown() if terms.policy == "hold":
            return None
        case Retry(burn=False):
            return put_off(job, body, attempt, outcome.after or SHORT)
        case Retry() | Unknown():
            wanted = (outcome.after or 0.0) if isinstance(outcome, Retry) else 0.0
            seconds = max(wanted, backoff(attempt, terms.base, terms.cap, jitter))
            return delayed_letter(job, body, attempt + 1, tier(seconds))


def put_off(job: Job, body: bytes, attempt: int, seconds: float, lost: int = 0) -> Letter:
    """The same attempt again, not before `seconds` have passed (or the longest delay there is)."""
    return delayed_letter(job, body, attempt, tier(min(max(seconds, 0.0), TIERS[-1])), lost)

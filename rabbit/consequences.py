"""What follows from the outcome of an attempt: the message to send before the job's own is acknowledged. Pure."""

from collections.abc import Mapping

import msgspec

from activity.claims import Policy
from activity.jobs import Job
from activity.outcomes import Dead, Kind, Outcome, Retry, Sent, Unknown
from activity.retry import TIERS, Span, backoff, tier, tier_within
from rabbit.letters import Letter, dead_letter, delayed_letter

SHORT = 4.0
"""Seconds that a job waits which did not get its turn, so its attempt is not burnt."""


class Terms(msgspec.Struct, frozen=True):
    """How often and when an attempt is repeated. `kinds`: what differs for those that failed in a certain way."""

    max_attempts: int = 8
    base: float = 1.0
    cap: float = 3600.0
    policy: Policy = "resend"
    kinds: Mapping[Kind, Span] = {}

    def backoff(self, kind: Kind, attempt: int, jitter: float) -> float:
        """Seconds to wait after attempt number `attempt` failed in this way."""
        span = self.kinds.get(kind) or Span(self.base, self.cap)
        return backoff(attempt, span.base, span.cap, jitter)


def settled(outcome: Outcome, attempt: int, terms: Terms) -> Outcome:
    """The outcome as it is written down: an attempt that may not be repeated since it was the last one makes the job dead."""
    if attempt < terms.max_attempts:
        return outcome
    match outcome:
        case Retry(burn=True):
            return Dead("spent", outcome.reason)
        case Unknown() if terms.policy == "resend":
            return Dead("spent", f"unknown: {outcome.reason}")
    return outcome


def letter_after(
    outcome: Outcome, job: Job, body: bytes, attempt: int, terms: Terms, jitter: float, before: int = 0
) -> Letter | None:
    """What has to be published for attempt number `attempt` that ended so; None if the job has ended without a letter.

    The first `before` attempts don't count for the backoff.
    """
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
            kind, wanted = (outcome.kind, outcome.after or 0.0) if isinstance(outcome, Retry) else ("unknown", 0.0)
            seconds = max(wanted, terms.backoff(kind, attempt - before, jitter))
            return delayed_letter(job, body, attempt + 1, tier(seconds))


def put_off(job: Job, body: bytes, attempt: int, seconds: float, lost: int = 0) -> Letter:
    """The same attempt again, not before `seconds` have passed (or the longest delay there is)."""
    return delayed_letter(job, body, attempt, tier(min(max(seconds, 0.0), TIERS[-1])), lost=lost)


def appointed(job: Job, body: bytes, attempt: int, due: float, now: float, lost: int = 0) -> Letter:
    """The same attempt again, at `due` or some time before: the rest of the wait is another delay or a short hold."""
    return delayed_letter(job, body, attempt, tier_within(due - now), due, lost)

"""Who may do a job now: the rules of the send ledger, pure.

An attempt is claimed in the ledger at the last moment before the thing that can't be taken back, and settled after the
far end answered. A claim that was never settled is in doubt: whoever held it died, and nobody knows what came of it.

                    claim                       settle: Sent                  (ends)
    (no record) ───────────▶ sending ──────────────────────────────▶ sent
                    ▲           │ │ settle: Retry, Unknown+resend
                    │ claim n+1 │ └─────────────▶ waiting ──┐
                    └───────────┼───────────────────────────┘
                                │ settle: Dead ─────────────▶ dead      settle: Unknown+hold, or a claim
                                │                                       whose lease is over with `hold`
                                └───────────────────────────────────▶ unknown

The number on a message may be lower than that of the attempt it led to: an attempt after one in doubt gets a number of
its own. So a message with a low number may be the only one left of its job, and "a later attempt has begun" is no reason
to throw it away. As long as the job has not ended, each message of it leads on.
"""

from typing import Literal, TypeAlias

import msgspec

from activity.jobs import Job, JobState
from activity.outcomes import Dead, Outcome, Retry, Sent, Unknown

Policy = Literal["resend", "hold"]


class JobRecord(msgspec.Struct, frozen=True):
    """What the ledger knows of a job: its newest attempt, who holds it until when (Unix seconds), what came of it."""

    id: str
    state: JobState
    attempt: int
    owner: str
    until: float
    outcome: Outcome | None = None


class Claim(msgspec.Struct, frozen=True):
    """A wish to do attempt number `attempt` of `job`; it holds it until `until` (Unix seconds).

    `owner` names one delivery of one message: two claims of one owner are one claim, made again because its answer was
    lost. Whoever has got a Go does not ask again.
    """

    job: Job
    attempt: int
    owner: str
    until: float


class Go(msgspec.Struct, frozen=True):
    """Yours: do it as attempt number `attempt`. `doubt`: the attempt before this one may have happened."""

    attempt: int
    doubt: bool = False


class Busy(msgspec.Struct, frozen=True):
    """Somebody else is at it until `until` at the latest. Come again then; the attempt does not count."""

    until: float


class Again(msgspec.Struct, frozen=True):
    """Attempt number `attempt` is settled, but what followed from `outcome` (the retry, the dead letter) may not have been
    published. Publish it; whoever gets it twice recognises it."""

    outcome: Retry | Dead | Unknown
    attempt: int


class Over(msgspec.Struct, frozen=True):
    """Nothing to do: the job has ended. Acknowledge the message."""

    state: JobState


Answer: TypeAlias = Go | Busy | Again | Over


def answer(record: JobRecord | None, claim: Claim, now: float, policy: Policy) -> Answer:
    """What a claim gets. The ledger writes it down in the same transaction: `Go`, and with `hold` an `Over("unknown")`."""
    if record is None:
        return Go(claim.attempt)
    if record.state == "sending":
        return _while_sending(record, claim, now, policy)
    if record.state == "waiting":
        return _while_waiting(record, claim, policy)
    if isinstance(record.outcome, Dead) and record.state == "dead":
        return Again(record.outcome, record.attempt)
    return Over(record.state)


def _while_sending(record: JobRecord, claim: Claim, now: float, policy: Policy) -> Answer:
    if record.owner == claim.owner:
        return Go(record.attempt, doubt=claim.attempt < record.attempt)
    if now < record.until:
        return Busy(record.until)
    if policy == "hold":
        return Over("unknown")
    return Go(max(claim.attempt, record.attempt + 1), doubt=True)


def _while_waiting(record: JobRecord, claim: Claim, policy: Policy) -> Answer:
    doubt = isinstance(record.outcome, Unknown)
    if doubt and policy == "hold":  # the setting was changed while it waited
        return Over("unknown")
    if claim.attempt <= record.attempt and isinstance(record.outcome, Retry | Unknown):
        return Again(record.outcome, record.attempt)
    return Go(max(claim.attempt, record.attempt + 1), doubt)


def may_settle(record: JobRecord | None, attempt: int, owner: str) -> bool:
    """Whether `owner` may write what came of attempt number `attempt`: not when it is settled or somebody else's by now.

    An attempt that failed before its point of no return is settled without a claim.
    """
    if record is None:
        return True
    if record.state == "sending":
        return record.attempt == attempt and record.owner == owner
    return record.state == "waiting" and attempt > record.attempt


def state_after(outcome: Outcome, policy: Policy) -> JobState:
    """The state of a job once `outcome` is settled."""
    if isinstance(outcome, Sent):
        return "sent"
    if isinstance(outcome, Dead):
        return "dead"
    return "unknown" if isinstance(outcome, Unknown) and policy == "hold" else "waiting"

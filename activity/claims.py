"""Who may do a job now: the rules of the send ledger, pure.

An attempt is claimed in the ledger at the last moment before the thing that can't be taken back, and settled after the
far end answered. A claim that was never settled is in doubt: whoever held it died, and nobody knows what came of it.

                    claim                       settle: Sent                  (ends)
    (no record) ───────────▶ sending ──────────────────────────────▶ sent
      │    │        ▲           │ │ settle: Retry, Unknown+resend
      │    │        │ claim n+1 │ └─────────────▶ waiting ──┐
      │    │        └───────────┼──────────────────▲────────┘
      │    │                    │ settle: Dead ────┼────────▶ dead      settle: Unknown+hold, or a claim
      │    │                    │                  │                    whose lease is over with `hold`
      │    │                    └──────────────────┼────────▶ unknown
      │    └── claim, not due ──▶ scheduled ───────┘ due, and published
      └────── cancel (from every state but sending and those that end) ──▶ cancelled

The number on a message may be lower than that of the attempt it led to: an attempt after one in doubt gets a number of
its own. So a message with a low number may be the only one left of its job, and "a later attempt has begun" is no reason
to throw it away. As long as the job has not ended, each message of it leads on.

A dead job that is replayed from the desk is `scheduled` for another round: its attempts are numbered on from the dead one, and
what is left of the messages before it leads to nothing.

An `unknown` job is decided by a person, who looks whether it arrived. That is an attempt of its own: `Sent`, and the job is sent;
or `Retry`, and it is `scheduled` for another round, as from the desk.

`scheduled` is like `waiting`, but nobody gets a Go before `due`. The ledger keeps the job meanwhile, so its message is
acknowledged. One that comes again is put away again, which changes nothing.
"""

from typing import Final, Literal, TypeAlias

import msgspec

from activity.jobs import Job, JobState
from activity.outcomes import Dead, Outcome, Retry, Sent, Unknown

Policy = Literal["resend", "hold"]

KILLS: Final = 3
"""A job that ended so many processes in a row is dead."""
KILLS_WORKER: Final = "kills-worker"


class JobRecord(msgspec.Struct, frozen=True):
    """What the ledger knows of a job: its newest attempt, who holds it until when (Unix seconds), what came of it.

    Nobody gets it before `due`. `suspected`: how often it was begun after its message had come back, without a word since.
    `abandoned`: how many claims in a row were never settled.
    """

    id: str
    state: JobState
    attempt: int
    owner: str
    until: float
    outcome: Outcome | None = None
    due: float | None = None
    suspected: int = 0
    abandoned: int = 0


class Claim(msgspec.Struct, frozen=True):
    """A wish to do attempt number `attempt` of `job`; it holds it until `until` (Unix seconds).

    `owner` names one delivery of one message: two claims of one owner are one claim, made again because its answer was
    lost. Whoever has got a Go does not ask again.

    With `asks` nothing is taken; it is asked before anything is begun, and a Go only says that a claim may follow.
    `suspect`: the message came back, so whoever had it before may have died of it. It is noted down as begun. `before`: how
    many attempts it had before it was replayed, for the message that follows on a `Later`.
    """

    job: Job
    attempt: int
    owner: str
    until: float
    asks: bool = False
    suspect: bool = False
    before: int = 0


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


class Later(msgspec.Struct, frozen=True):
    """Not before `due` (Unix seconds). The ledger has put the job away and will give it out then: acknowledge the message."""

    due: float


class Over(msgspec.Struct, frozen=True):
    """Nothing to do: the job has ended. Acknowledge the message."""

    state: JobState


Answer: TypeAlias = Go | Busy | Again | Later | Over


def answer(record: JobRecord | None, claim: Claim, now: float, policy: Policy) -> Answer:
    """What a claim gets. The ledger writes down in the same transaction what is new in it: a `Go` that was not only asked
    for, a `Later`, with `hold` an `Over("unknown")`, and an `Again(Dead(KILLS_WORKER))`."""
    due = _due(record, claim.job)
    if due is not None and due > now:
        return Later(due)
    got = Go(claim.attempt) if record is None else _while_open(record, claim, now, policy)
    # It was lost once before anybody suspected it.
    if is_suspect(record, claim, got) and record is not None and record.suspected + 1 >= KILLS:
        return Again(Dead(KILLS_WORKER, f"{KILLS} processes ended when they had begun it"), next_attempt(record, claim))
    return got


def _due(record: JobRecord | None, job: Job) -> float | None:
    if record is None:
        return job.due
    return record.due if record.state == "scheduled" else None


def _while_open(record: JobRecord, claim: Claim, now: float, policy: Policy) -> Answer:
    if record.state == "sending":
        return _while_sending(record, claim, now, policy)
    if record.state in ("waiting", "scheduled"):
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
    if record.abandoned + 1 >= KILLS:
        return Again(Dead(KILLS_WORKER, f"{KILLS} processes ended while they did it"), record.attempt)
    return Go(next_attempt(record, claim), doubt=True)


def _while_waiting(record: JobRecord, claim: Claim, policy: Policy) -> Answer:
    doubt = isinstance(record.outcome, Unknown)
    if doubt and policy == "hold":  # the setting was changed while it waited
        return Over("unknown")
    if claim.attempt <= record.attempt and isinstance(record.outcome, Retry | Unknown):
        return Again(record.outcome, record.attempt)
    if claim.attempt <= record.attempt and isinstance(record.outcome, Dead):
        return Over("dead")  # a message from before the replay; the replay has one of its own, maybe edited
    return Go(next_attempt(record, claim), doubt)


def next_attempt(record: JobRecord | None, claim: Claim) -> int:
    """The number that an attempt after those in the ledger gets."""
    return claim.attempt if record is None else max(claim.attempt, record.attempt + 1)


def is_suspect(record: JobRecord | None, claim: Claim, got: Answer) -> bool:
    """Whether it is to be noted down that the job is begun. A claim that was never settled speaks for itself."""
    return claim.asks and claim.suspect and isinstance(got, Go) and (record is None or record.state != "sending")


def outlived(record: JobRecord | None) -> JobRecord | None:
    """The record once who had begun the job came out of it without a claim, as where the far end was away: it killed nobody.
    None: nobody suspects it."""
    if record is None or not record.suspected or record.state == "sending":
        return None
    return msgspec.structs.replace(record, suspected=0)


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


def keeps_from_cancelling(record: JobRecord | None, now: float) -> str | None:
    """Why the job can't be cancelled any more; None: it can, also one that the ledger has not heard of or that is cancelled."""
    if record is None or record.state in ("scheduled", "waiting", "cancelled"):
        return None
    if record.state == "sending":
        return "it is being sent" if now < record.until else None
    return f"it has ended: {record.state}"


def keeps_from_replaying(record: JobRecord | None, now: float) -> str | None:
    """Why the job can't have another round of attempts from the dead-letter desk; None: it can, also one that the ledger has
    not heard of."""
    if record is None or record.state in ("dead", "waiting"):
        return None
    if record.state == "sending":
        return "it is being sent" if now < record.until else None
    return "it waits for its time" if record.state == "scheduled" else f"it has ended: {record.state}"


def keeps_from_deciding(record: JobRecord | None) -> str | None:
    """Why a person can't say what came of the job; None: it is `unknown`, after an attempt."""
    if record is None:
        return "the ledger knows of no attempt at it"
    return None if record.state == "unknown" else f"it is {record.state}"


def decided(record: JobRecord, outcome: Sent | Retry, now: float) -> JobRecord:
    """The `unknown` job once a person has said what came of it."""
    state: JobState = "sent" if isinstance(outcome, Sent) else "scheduled"
    return JobRecord(record.id, state, record.attempt + 1, "", 0.0, outcome, record.due if state == "sent" else now)


def keeps_from_moving(record: JobRecord | None) -> str | None:
    """Why the job can't be given another time; None: it can."""
    if record is None:
        return "the ledger has not heard of it"
    if record.state in ("scheduled", "waiting"):
        return None
    return "it is being sent" if record.state == "sending" else f"it has ended: {record.state}"

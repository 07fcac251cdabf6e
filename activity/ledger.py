"""What the send ledger has of a job, as it is read from there: `store.jobs` reads it."""

import msgspec

from activity.jobs import JobClass, JobState
from activity.outcomes import Outcome


class JobRow(msgspec.Struct, frozen=True):
    """A job as it stands. Times are Unix seconds; `owner` holds its newest attempt until `until` while it is `sending`.

    `doubtful` attempts have an outcome that nobody knows: each may have been a mail that was sent. While it is `scheduled` nobody
    gets it before `due`. `repeats`: how many messages came after it had ended. The others: see `activity.claims.JobRecord`.
    """

    id: str
    user_id: str
    rule: str
    job_class: JobClass
    task: str
    template: str
    source: str
    event_id: str
    recipient: str
    state: JobState
    attempt: int
    owner: str
    until: float
    created: float
    updated: float
    reason: str
    doubtful: int
    due: float | None = None
    suspected: int = 0
    abandoned: int = 0
    repeats: int = 0


class AttemptRow(msgspec.Struct, frozen=True):
    """An attempt. Without an outcome it is claimed: being done, or its owner died and nobody has come for it so far."""

    job_id: str
    number: int
    owner: str
    started: float
    finished: float | None
    outcome: Outcome | None


class JobHistory(msgspec.Struct, frozen=True):
    """A job and all attempts at it, oldest first."""

    job: JobRow
    attempts: list[AttemptRow]

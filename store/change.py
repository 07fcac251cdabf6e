"""What a transaction of the ledger writes: collected row by row, then sent in a few statements."""

from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, delete, insert, update
from sqlalchemy.dialects import postgresql, sqlite

from activity.claims import (
    Again,
    Answer,
    Claim,
    Go,
    JobRecord,
    Later,
    Over,
    Policy,
    answer,
    decided,
    is_suspect,
    may_settle,
    next_attempt,
    outlived,
    state_after,
)
from activity.jobs import Job, encode_job
from activity.outcomes import Dead, Outcome, Retry, Sent, Unknown
from store.schema import attempt as attempts
from store.schema import job as jobs
from store.schema import shelf
from store.statements import Statements

LEASE_OVER: Final = "its owner did not come back"
"""The reason of an outcome that nobody reported."""


class Settlement(msgspec.Struct, frozen=True):
    """What came of attempt number `attempt` of `job`, begun at `started` (Unix seconds) by `owner`."""

    job: Job
    attempt: int
    owner: str
    started: float
    outcome: Outcome


class Row(msgspec.Struct, eq=False):
    """A job during a transaction. `named`: the table has its facts, not only its id. `held`: it is `unknown`, new to claims."""

    job: Job
    record: JobRecord | None = None
    doubtful: int = 0
    reason: str = ""
    created: float | None = None
    named: bool = True
    held: bool = False


class Change:
    """See above. Each method leaves the row as the next one has to find it."""

    def __init__(self, now: float, policy: Policy) -> None:
        self._now, self._policy = now, policy
        self._changed: dict[str, Row] = {}
        self._begun: list[dict[str, Any]] = []
        self._ended: list[dict[str, Any]] = []
        self._shelved: list[dict[str, Any]] = []
        self._reshelved: list[dict[str, Any]] = []
        self._taken_down: list[dict[str, Any]] = []
        self._named: list[dict[str, Any]] = []
        self._repeated: list[dict[str, Any]] = []

    def claim(self, row: Row, claim: Claim) -> Answer:
        """What the claim gets."""
        got, before, id = answer(row.record, claim, self._now, self._policy), row.record, key(claim.job.id)
        if not row.named:
            self._name(row, claim.job)
        if isinstance(got, Go):
            self._go(row, claim, got)
        elif isinstance(got, Later):
            self._shelve(row, claim, got)
        elif before is not None and before.state in ("sent", "dead", "cancelled", "unknown"):
            self._repeated.append({"the_id": id})
        elif isinstance(got, Over) and before is not None and got.state == "unknown":
            self._doubt(row, Unknown(LEASE_OVER))
            self._move(row, JobRecord(id, got.state, before.attempt, before.owner, 0.0, Unknown(LEASE_OVER)))
        elif isinstance(got, Again) and isinstance(got.outcome, Dead):
            self._kill(row, claim, got.attempt, got.outcome)
        return got

    def settle(self, row: Row, settlement: Settlement) -> bool:
        """Whether the outcome counts. An attempt that does not count is not written down: it only clears the job of suspicion."""
        before, id, number, outcome = row.record, key(settlement.job.id), settlement.attempt, settlement.outcome
        if isinstance(outcome, Retry) and not outcome.burn:
            if (cleared := outlived(before)) is not None:
                self._move(row, cleared)
            return True
        if not may_settle(before, number, settlement.owner):
            return False
        if before is None or before.state != "sending":
            self._begin(id, number, settlement.owner, settlement.started)
        row.reason = plain(getattr(outcome, "reason", ""))
        row.doubtful += isinstance(outcome, Unknown)
        self._end(id, number, outcome)
        self._move(row, JobRecord(id, state_after(outcome, self._policy), number, settlement.owner, 0.0, outcome))
        return True

    def cancel(self, row: Row) -> None:
        """The job ends `cancelled`; a claim whose lease is over is in doubt."""
        before, id = row.record, key(row.job.id)
        self._doubt(row, Unknown(LEASE_OVER))
        self._move(row, JobRecord(id, "cancelled", 0 if before is None else before.attempt, "", 0.0))
        self._taken_down.append({"id": id})

    def reschedule(self, row: Row, due: float) -> None:
        """Nobody gets the job before `due`. Whoever is just publishing it may not say that he has."""
        if row.record is not None:
            self._move(row, msgspec.structs.replace(row.record, state="scheduled", due=due, owner="", until=0.0))

    def reopen(self, row: Row, job: Job, due: float) -> None:
        """`row` gets another round of attempts as `job`, kept here until `due`; they are numbered on from those before."""
        before, id = row.record, key(job.id)
        self._doubt(row, Unknown(LEASE_OVER))
        attempt = 0 if before is None else before.attempt
        self._reshelved.append({"job_id": id, "attempt": attempt + 1, "body": encode_job(job), "before": attempt})
        self._move(row, JobRecord(id, "scheduled", attempt, "", 0.0, due=due))
        self._name(row, job)

    def decide(self, row: Row, job: Job, outcome: Sent | Retry, by: str) -> None:
        """`by` says what came of `row`, which is unknown: an attempt of its own. With `Retry` it gets another round as `job`."""
        if (before := row.record) is None:
            return
        record, id = decided(before, outcome, self._now), key(job.id)
        self._begin(id, record.attempt, plain(by), self._now)
        self._end(id, record.attempt, outcome)
        row.reason = plain(getattr(outcome, "reason", ""))
        if isinstance(outcome, Retry):
            body = encode_job(job)
            self._reshelved.append({"job_id": id, "attempt": record.attempt + 1, "body": body, "before": record.attempt})
            self._name(row, job)
        self._move(row, record)

    def write(self, to: Statements) -> None:
        """Writes all of it."""
        new = [job_values(row, self._now) for row in self._changed.values() if row.created is None]
        moved = [{"the_id": id, **moving(row, self._now)} for id, row in self._changed.items() if row.created is not None]
        written = (
            (_UPSERTS[to.dialect], new),
            (_MOVE, moved),
            (_NAME, self._named),
            (_REPEAT, self._repeated),
            (_BEGIN, self._begun),
            (_END, self._ended),
            (_SHELVES[to.dialect], self._shelved),
            (_RESHELVES[to.dialect], self._reshelved),
            (_TAKE_DOWN, self._taken_down),
        )
        for statement, values in written:
            if values:
                to.each(statement, values)

    def _go(self, row: Row, claim: Claim, got: Go) -> None:
        before, id = row.record, key(claim.job.id)
        if claim.asks:
            if is_suspect(before, claim, got):
                begun = before or JobRecord(id, "waiting", 0, "", 0.0, due=claim.job.due)
                self._move(row, msgspec.structs.replace(begun, suspected=begun.suspected + 1))
            return
        abandoned = 0 if before is None else before.abandoned
        if before is None or before.attempt != got.attempt:
            if before is not None and before.state == "sending":
                abandoned += 1
            self._doubt(row, Unknown(LEASE_OVER))
            self._begin(id, got.attempt, claim.owner, self._now)
        if before is not None and before.state == "scheduled":
            self._taken_down.append({"id": id})
        due = claim.job.due if before is None else None
        self._move(row, JobRecord(id, "sending", got.attempt, claim.owner, claim.until, due=due, abandoned=abandoned))

    def _shelve(self, row: Row, claim: Claim, got: Later) -> None:
        """What is there already stays as it is: the job may have been moved since."""
        id = key(claim.job.id)
        self._shelved.append(
            {"job_id": id, "attempt": next_attempt(row.record, claim), "body": encode_job(claim.job), "before": claim.before}
        )
        if row.record is None:
            self._move(row, JobRecord(id, "scheduled", 0, "", 0.0, due=got.due))

    def _kill(self, row: Row, claim: Claim, number: int, outcome: Dead) -> None:
        """The job killed its workers. The attempt that shows it is the one that nobody settled, or this one, never begun."""
        before, id = row.record, key(claim.job.id)
        if before is not None and before.state == "sending":
            self._doubt(row, outcome)
        else:
            self._begin(id, number, claim.owner, self._now)
            self._end(id, number, outcome)
        row.reason = outcome.reason
        self._taken_down.append({"id": id})
        self._move(row, JobRecord(id, "dead", number, claim.owner, 0.0, outcome))

    def _move(self, row: Row, record: JobRecord) -> None:
        """The row's new record; the time it waited for stays, for whoever looks."""
        if record.due is None and row.record is not None:
            record = msgspec.structs.replace(record, due=row.record.due)
        row.record = record
        self._changed[record.id] = row

    def _doubt(self, row: Row, outcome: Outcome) -> None:
        """The newest attempt was claimed and its owner is gone: from now on nobody knows what came of it."""
        if row.record is not None and row.record.state == "sending":
            row.doubtful += 1
            row.reason = LEASE_OVER
            self._end(row.record.id, row.record.attempt, outcome)

    def _name(self, row: Row, job: Job) -> None:
        """What the table says of the job: it was cancelled before its message came, or edited since."""
        row.job, row.named = job, True
        self._named.append({f"the_{name}": value for name, value in facts(job).items()})

    def _begin(self, id: str, number: int, owner: str, started: float) -> None:
        self._begun.append({"job_id": id, "number": number, "owner": owner, "started": started})

    def _end(self, id: str, number: int, outcome: Outcome) -> None:
        tag = outcome.__struct_config__.tag
        self._ended.append({"id": id, "no": number, "finished": self._now, "outcome": tag, "detail": _detail(outcome)})


def facts(job: Job) -> dict[str, Any]:
    """What the table `job` says of a job that never changes."""
    return {
        "id": key(job.id),
        "user_id": cut(job.user),
        "rule": plain(job.rule),
        "class": job.job_class,
        "task": plain(job.task),
        "template": plain(job.template),
        "source": plain(str(job.event.get("source", ""))),
        "event_id": plain(str(job.event.get("id", ""))),
        "recipient": plain(job.to),
    }


def job_values(row: Row, now: float) -> dict[str, Any]:
    """All columns of a new `row` in the table `job`."""
    return {**facts(row.job), **moving(row, now), "created": now if row.created is None else row.created, "repeats": 0}


def moving(row: Row, now: float) -> dict[str, Any]:
    """The columns that change as the job goes on, but for `repeats`, which only grows."""
    record = row.record
    return {
        "state": "waiting" if record is None else record.state,
        "attempt": 0 if record is None else record.attempt,
        "owner": "" if record is None else record.owner,
        "until": 0.0 if record is None else record.until,
        "updated": now,
        "reason": row.reason,
        "doubtful": row.doubtful,
        "due": None if record is None else record.due,
        "suspected": 0 if record is None else record.suspected,
        "abandoned": 0 if record is None else record.abandoned,
    }


_INDEXED: Final = 500
"""Characters of a text that has an index: Postgres refuses a row whose index entry has more than 2,704 bytes."""


def plain(text: str) -> str:
    """`text` as any database can hold it. A mail server's words, or a job that others wrote, may have anything in them."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{SYMBOL FOR NULL}")


def cut(text: str) -> str:
    """`text` as a column with an index holds it."""
    return plain(text)[:_INDEXED]


key = plain


def _detail(outcome: Outcome) -> str:
    try:
        return msgspec.json.encode(outcome).decode()
    except UnicodeEncodeError:  # a lone surrogate
        fields = msgspec.structs.asdict(outcome).items()
        changed = {name: plain(value) if isinstance(value, str) else value for name, value in fields}
        return msgspec.json.encode(msgspec.structs.replace(outcome, **changed)).decode()


# -- statements --------------------------------------------------------------------------------------------------------

_MOVING: Final = ("state", "attempt", "owner", "until", "updated", "reason", "doubtful", "due", "suspected", "abandoned")
_UPSERTS: Final = {
    name: statement.on_conflict_do_update(index_elements=["id"], set_={moved: statement.excluded[moved] for moved in _MOVING})
    for name, statement in (("sqlite", sqlite.insert(jobs)), ("postgresql", postgresql.insert(jobs)))
}
_FACTS: Final = ("user_id", "rule", "class", "task", "template", "source", "event_id", "recipient")
_ONE: Final = update(jobs).where(jobs.c.id == bindparam("the_id"))
_MOVE: Final = _ONE.values({name: bindparam(name) for name in _MOVING})
_NAME: Final = _ONE.values({name: bindparam(f"the_{name}") for name in _FACTS})
_REPEAT: Final = _ONE.values(repeats=jobs.c.repeats + 1)
_BEGIN: Final = insert(attempts)
_END: Final = (
    update(attempts)
    .where(attempts.c.job_id == bindparam("id"), attempts.c.number == bindparam("no"))
    .values({name: bindparam(name) for name in ("finished", "outcome", "detail")})
)
_SHELVES: Final = {
    name: statement.on_conflict_do_nothing()
    for name, statement in (("sqlite", sqlite.insert(shelf)), ("postgresql", postgresql.insert(shelf)))
}
_WAITS: Final = ("attempt", "body", "before")
_RESHELVES: Final = {
    name: statement.on_conflict_do_update(index_elements=["job_id"], set_={moved: statement.excluded[moved] for moved in _WAITS})
    for name, statement in (("sqlite", sqlite.insert(shelf)), ("postgresql", postgresql.insert(shelf)))
}
_TAKE_DOWN: Final = delete(shelf).where(shelf.c.job_id == bindparam("id"))

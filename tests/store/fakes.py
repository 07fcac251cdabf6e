"""The store in memory, for tests of what uses it. Passes the tests that the real one passes."""

from collections.abc import Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any, get_args

from msgspec.structs import replace

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
    keeps_from_cancelling,
    keeps_from_deciding,
    keeps_from_moving,
    keeps_from_replaying,
    may_settle,
    next_attempt,
    outlived,
    state_after,
)
from activity.jobs import Job, JobState, encode_job
from activity.ledger import AttemptRow, JobHistory, JobRow
from activity.outcomes import Dead, Outcome, Retry, Sent, Unknown
from activity.replay import Known
from store.ledger import LEASE_OVER, Settlement
from store.log import Appended, Difference, Entry
from store.schedule import Due

_UNDER_WAY = ("scheduled", "sending", "waiting")


class MemoryLog:
    """See `store.interfaces.Log`."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, int], Entry] = {}
        self._events: dict[tuple[str, str, str], int] = {}

    async def append(self, entries: Sequence[Entry]) -> Appended:
        new, conflicts = 0, []
        for entry in entries:
            place, event = (entry.user_id, entry.position), (entry.user_id, entry.source, entry.event_id)
            standing = self._entries.get(place)
            if standing is not None and (standing.user_id, standing.source, standing.event_id) == event:
                continue
            if standing is not None or not _storable(entry):
                conflicts.append(entry)
                continue
            self._entries[place] = replace(entry, repeats=self._events.get(event))
            self._events.setdefault(event, entry.position)
            new += 1
        return Appended(new, conflicts)

    async def compare(self, entries: Sequence[Entry]) -> Difference:
        found = Difference([], [])
        for entry in entries:
            standing = self._entries.get((entry.user_id, entry.position))
            if not _storable(entry) or (standing and (standing.source, standing.event_id) != (entry.source, entry.event_id)):
                found.conflicts.append(entry)
            elif standing is None:
                found.missing.append(entry)
        return found

    async def read(
        self,
        user: str,
        *,
        before: int | None = None,
        limit: int = 100,
        type: str | None = None,
        since: float | None = None,
        until: float | None = None,
        as_of: float | None = None,
    ) -> list[Entry]:
        mine = [self._entries[place] for place in sorted(self._entries) if place[0] == user]
        if as_of is not None:
            mine = list(takewhile(lambda entry: _seconds(entry) <= as_of, mine))
        found = [
            entry
            for entry in reversed(mine)
            if (before is None or entry.position < before)
            and (type is None or entry.type == type)
            and (since is None or _seconds(entry) >= since)
            and (until is None or _seconds(entry) < until)
        ]
        return found[:limit]

    async def position(self, user: str, source: str, event_id: str) -> int | None:
        return self._events.get((user, source, event_id))

    async def page(self, after: tuple[str, int] | None, limit: int) -> list[Entry]:
        return [self._entries[place] for place in sorted(self._entries) if after is None or place > after][:limit]

    async def count(self) -> int:
        return len(self._entries)


def _seconds(entry: Entry) -> float:
    return datetime.fromisoformat(entry.received).timestamp()


def _storable(entry: Entry) -> bool:
    try:
        entry.event_id.encode()
    except UnicodeEncodeError:
        return False
    return 0 < entry.position < 2**63


class MemoryLedger:
    """See `Claims`, `Wishes`, `Schedule` and `JobList` in `store.interfaces`."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._records: dict[str, JobRecord] = {}
        self._rows: dict[str, JobRow] = {}
        self._attempts: dict[tuple[str, int], AttemptRow] = {}
        self._shelf: dict[str, Due] = {}

    async def turn(
        self, settlements: Sequence[Settlement], claims: Sequence[Claim], now: float
    ) -> tuple[list[bool], list[Answer]]:
        return await self.settle(settlements, now), await self.claim(claims, now)

    async def claim(self, claims: Sequence[Claim], now: float) -> list[Answer]:
        return [self._claim(claim, now) for claim in claims]

    def _claim(self, claim: Claim, now: float) -> Answer:
        id = claim.job.id
        record = self._records.get(id)
        got = answer(record, claim, now, self._policy)
        if id in self._rows:
            ended = record is not None and record.state in ("sent", "dead", "cancelled", "unknown")
            self._rows[id] = replace(self._rows[id], **_facts(claim.job), repeats=self._rows[id].repeats + ended)
        match got:
            case Go():
                self._go(record, claim, got, now)
            case Later(due):
                job = claim.job
                due_then = Due(id, next_attempt(record, claim), encode_job(job), job.job_class, job.rule, job.user, claim.before)
                self._shelf.setdefault(id, due_then)
                if record is None:
                    self._write(claim.job, JobRecord(id, "scheduled", 0, "", 0.0, due=due), now)
            case Over("unknown") if record is not None and record.state != got.state:
                self._doubt(id, Unknown(LEASE_OVER), now)
                self._write(claim.job, replace(record, state=got.state, until=0.0), now)
            case Again(Dead() as outcome, number) if record is not None and record.state != "dead":
                if record.state == "sending":
                    self._doubt(id, outcome, now)
                else:
                    self._attempts[id, number] = AttemptRow(id, number, claim.owner, now, now, outcome)
                self._write(claim.job, JobRecord(id, "dead", number, claim.owner, 0.0, outcome, record.due), now)
                self._rows[id] = replace(self._rows[id], reason=outcome.reason)
                self._shelf.pop(id, None)
        return got

    def _go(self, record: JobRecord | None, claim: Claim, got: Go, now: float) -> None:
        id = claim.job.id
        before = record or JobRecord(id, "waiting", 0, "", 0.0, due=claim.job.due)
        if claim.asks:
            if is_suspect(record, claim, got):
                self._write(claim.job, replace(before, suspected=before.suspected + 1), now)
            return
        abandoned = before.abandoned
        if before.attempt != got.attempt:
            abandoned += before.state == "sending"
            self._doubt(id, Unknown(LEASE_OVER), now)
            self._attempts[id, got.attempt] = AttemptRow(id, got.attempt, claim.owner, now, None, None)
        self._shelf.pop(id, None)
        made = JobRecord(id, "sending", got.attempt, claim.owner, claim.until, None, before.due, abandoned=abandoned)
        self._write(claim.job, made, now)

    def _doubt(self, id: str, outcome: Outcome, now: float) -> None:
        record = self._records.get(id)
        if record is not None and record.state == "sending":
            place = id, record.attempt
            self._attempts[place] = replace(self._attempts[place], finished=now, outcome=outcome)
            self._rows[id] = replace(self._rows[id], doubtful=self._rows[id].doubtful + 1, reason=LEASE_OVER)

    async def hold(self, jobs: Sequence[Job], reason: str, now: float) -> None:
        for job in jobs:
            if job.id not in self._rows:
                self._write(job, JobRecord(job.id, "unknown", 0, "", 0.0), now)
                del self._records[job.id]
                self._rows[job.id] = replace(self._rows[job.id], reason=reason)

    async def settle(self, settlements: Sequence[Settlement], now: float) -> list[bool]:
        return [self._settle(settlement, now) for settlement in settlements]

    def _settle(self, made: Settlement, now: float) -> bool:
        id, place, before = made.job.id, (made.job.id, made.attempt), self._records.get(made.job.id)
        if isinstance(made.outcome, Retry) and not made.outcome.burn:
            if (cleared := outlived(before)) is not None:
                self._write(made.job, cleared, now)
            return True
        if not may_settle(before, made.attempt, made.owner):
            return False
        begun = self._attempts.get(place) or AttemptRow(id, made.attempt, made.owner, made.started, None, None)
        self._attempts[place] = replace(begun, finished=now, outcome=made.outcome)
        state, due = state_after(made.outcome, self._policy), None if before is None else before.due
        self._write(made.job, JobRecord(id, state, made.attempt, made.owner, 0.0, made.outcome, due), now)
        doubtful = self._rows[id].doubtful + isinstance(made.outcome, Unknown)
        self._rows[id] = replace(self._rows[id], doubtful=doubtful, reason=getattr(made.outcome, "reason", ""))
        return True

    async def cancel(self, id: str, now: float) -> str | None:
        record = self._records.get(id)
        problem = keeps_from_cancelling(record, now)
        if problem is None and (record is None or record.state != "cancelled"):
            self._doubt(id, Unknown(LEASE_OVER), now)
            due = None if record is None else record.due
            made = JobRecord(id, "cancelled", 0 if record is None else record.attempt, "", 0.0, due=due)
            self._write(Job(id=id, rule="", job_class="transactional", user="", to="", template="", event={}), made, now)
            self._shelf.pop(id, None)
        return problem

    async def move(self, id: str, due: float, now: float) -> str | None:
        record = self._records.get(id)
        problem = keeps_from_moving(record)
        if problem is None and record is not None:
            made = replace(record, state="scheduled", due=due, owner="", until=0.0)
            self._records[id] = made
            self._rows[id] = replace(self._rows[id], state="scheduled", due=due, owner="", until=0.0, updated=now)
        return problem

    async def decide(self, job: Job, outcome: Sent | Retry, by: str, now: float) -> str | None:
        before = self._records.get(job.id)
        problem = keeps_from_deciding(before)
        if before is None or problem is not None:
            return problem
        made = decided(before, outcome, now)
        self._attempts[job.id, made.attempt] = AttemptRow(job.id, made.attempt, by, now, now, outcome)
        self._write(job, made, now)
        self._rows[job.id] = replace(self._rows[job.id], reason=getattr(outcome, "reason", ""))
        if isinstance(outcome, Retry):
            self._shelf[job.id] = Due(job.id, made.attempt + 1, encode_job(job), job.job_class, job.rule, job.user, made.attempt)
            self._rows[job.id] = replace(self._rows[job.id], **_facts(job))
        return None

    def reopen(self, jobs: Sequence[Job], due: float, now: float, *, new: bool) -> str | None:
        wanted = [job for job in jobs if not (new and job.id in self._rows)]
        for job in wanted:
            held = job.id in self._rows and job.id not in self._records
            record = JobRecord(job.id, "unknown", 0, "", 0.0) if held else self._records.get(job.id)
            if (problem := keeps_from_replaying(record, now)) is not None:
                return problem
        for job in wanted:
            self._doubt(job.id, Unknown(LEASE_OVER), now)
            before = self._records.get(job.id)
            attempt = 0 if before is None else before.attempt
            outcome = None if before is None else before.outcome
            self._shelf[job.id] = Due(job.id, attempt + 1, encode_job(job), job.job_class, job.rule, job.user, attempt)
            self._write(job, JobRecord(job.id, "scheduled", attempt, "", 0.0, outcome, due), now)
            self._rows[job.id] = replace(self._rows[job.id], **_facts(job))
        return None

    async def take(self, owner: str, until: float, now: float, limit: int) -> list[Due]:
        due = [row for row in await self.scheduled(limit=10**9) if (row.due or 0.0) <= now and row.until <= now]
        taken = [row.id for row in due if row.id in self._shelf][:limit]
        for id in taken:
            self._records[id] = replace(self._records[id], owner=owner, until=until)
            self._rows[id] = replace(self._rows[id], owner=owner, until=until)
        return [self._shelf[id] for id in taken]

    async def published(self, ids: Sequence[str], owner: str, now: float) -> list[str]:
        mine = [id for id in sorted(ids) if (self._records[id].state, self._records[id].owner) == ("scheduled", owner)]
        for id in mine:
            self._records[id] = replace(self._records[id], state="waiting", owner="", until=0.0)
            self._rows[id] = replace(self._rows[id], state="waiting", owner="", until=0.0, updated=now)
            del self._shelf[id]
        return mine

    def _write(self, job: Job, record: JobRecord, now: float) -> None:
        self._records[job.id] = record
        before = self._rows.get(job.id)
        facts = _facts(job) if before is None else {name: getattr(before, name) for name in _facts(job)}
        self._rows[job.id] = JobRow(
            id=job.id,
            **facts,
            state=record.state,
            attempt=record.attempt,
            owner=record.owner,
            until=record.until,
            created=now if before is None else before.created,
            updated=now,
            reason="" if before is None else before.reason,
            doubtful=0 if before is None else before.doubtful,
            due=record.due,
            suspected=record.suspected,
            abandoned=record.abandoned,
            repeats=0 if before is None else before.repeats,
        )

    async def job(self, id: str) -> JobHistory | None:
        row = self._rows.get(id)
        return None if row is None else JobHistory(row, await self.attempts(id))

    async def jobs(
        self, *, state: JobState | None = None, user: str | None = None, limit: int = 100, after: str | None = None
    ) -> list[JobRow]:
        newest_first = sorted(self._rows.values(), key=lambda row: (row.created, row.id), reverse=True)
        if after is not None:
            last = self._rows[after]
            newest_first = [row for row in newest_first if (row.created, row.id) < (last.created, last.id)]
        return [row for row in newest_first if state in (None, row.state) and user in (None, row.user_id)][:limit]

    async def of_events(self, user: str, events: Sequence[tuple[str, str]], ids: Sequence[str] = ()) -> list[JobHistory]:
        rows = [
            row for row in self._rows.values() if (row.user_id == user and (row.source, row.event_id) in events) or row.id in ids
        ]
        return [JobHistory(row, await self.attempts(row.id)) for row in rows]

    async def known(self, ids: Sequence[str]) -> dict[str, Known]:
        return {id: Known(row.state, row.attempt) for id in ids if (row := self._rows.get(id))}

    async def scheduled(self, *, user: str | None = None, limit: int = 100, after: str | None = None) -> list[JobRow]:
        rows = [row for row in self._rows.values() if row.state == "scheduled" and user in (None, row.user_id)]
        first = (0.0, "") if after is None else (self._rows[after].due or 0.0, after)
        places = sorted((row.due or 0.0, row.id) for row in rows)
        return [self._rows[id] for due, id in places if (due, id) > first][:limit]

    async def counts(self) -> dict[JobState, int]:
        states: tuple[JobState, ...] = get_args(JobState)
        return {state: sum(row.state == state for row in self._rows.values()) for state in states}

    async def attempts(self, job_id: str) -> list[AttemptRow]:
        return [row for (id, _), row in sorted(self._attempts.items()) if id == job_id]

    async def outcomes(self, ids: Sequence[str]) -> dict[str, tuple[JobState, int, Outcome | None]]:
        ended = [row for id in ids if (row := self._rows.get(id)) is not None and row.state not in _UNDER_WAY]
        newest = {row.id: self._attempts.get((row.id, row.attempt)) for row in ended}
        return {row.id: (row.state, row.attempt, None if (one := newest[row.id]) is None else one.outcome) for row in ended}


class MemorySwitches:
    """See `store.interfaces.Switches`."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    async def read(self, name: str) -> str | None:
        return self._values.get(name)

    async def write(self, name: str, value: str | None, now: float) -> None:
        if value is None:
            self._values.pop(name, None)
        else:
            self._values[name] = value


def _facts(job: Job) -> dict[str, Any]:
    return {
        "user_id": job.user,
        "rule": job.rule,
        "job_class": job.job_class,
        "task": job.task,
        "template": job.template,
        "source": str(job.event.get("source", "")),
        "event_id": str(job.event.get("id", "")),
        "recipient": job.to,
    }

"""The store in memory, for tests of what uses it. Passes the tests that the real one passes."""

from collections.abc import Sequence
from typing import get_args

from msgspec.structs import replace

from activity.claims import Answer, Claim, Go, JobRecord, Over, Policy, answer, may_settle, state_after
from activity.jobs import Job, JobState
from activity.outcomes import Unknown
from activity.replay import Known
from store.jobs import AttemptRow, JobHistory, JobRow
from store.ledger import LEASE_OVER, Settlement
from store.log import Appended, Difference, Entry


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

    async def read(self, user: str, *, before: int | None = None, limit: int = 100, type: str | None = None) -> list[Entry]:
        found = [
            entry
            for entry in self._entries.values()
            if entry.user_id == user and (before is None or entry.position < before) and (type is None or entry.type == type)
        ]
        return sorted(found, key=lambda entry: -entry.position)[:limit]

    async def page(self, after: tuple[str, int] | None, limit: int) -> list[Entry]:
        return [self._entries[place] for place in sorted(self._entries) if after is None or place > after][:limit]

    async def count(self) -> int:
        return len(self._entries)


def _storable(entry: Entry) -> bool:
    try:
        entry.event_id.encode()
    except UnicodeEncodeError:
        return False
    return 0 < entry.position < 2**63


class MemoryLedger:
    """See `store.interfaces.Claims` and `store.interfaces.JobList`."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._records: dict[str, JobRecord] = {}
        self._rows: dict[str, JobRow] = {}
        self._attempts: dict[tuple[str, int], AttemptRow] = {}

    async def claim(self, claims: Sequence[Claim], now: float) -> list[Answer]:
        return [self._claim(claim, now) for claim in claims]

    def _claim(self, claim: Claim, now: float) -> Answer:
        id = claim.job.id
        record = self._records.get(id)
        got = answer(record, claim, now, self._policy)
        if isinstance(got, Go):
            if record is None or record.attempt != got.attempt:
                self._doubt(id, now)
                self._attempts[id, got.attempt] = AttemptRow(id, got.attempt, claim.owner, now, None, None)
            self._write(claim.job, JobRecord(id, "sending", got.attempt, claim.owner, claim.until), now)
        elif isinstance(got, Over) and record is not None and record.state != got.state:
            self._doubt(id, now)
            self._write(claim.job, replace(record, state=got.state, until=0.0), now)
        return got

    def _doubt(self, id: str, now: float) -> None:
        record = self._records.get(id)
        if record is not None and record.state == "sending":
            place = id, record.attempt
            self._attempts[place] = replace(self._attempts[place], finished=now, outcome=Unknown(LEASE_OVER))
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
        id, place = made.job.id, (made.job.id, made.attempt)
        if not may_settle(self._records.get(id), made.attempt, made.owner):
            return False
        begun = self._attempts.get(place) or AttemptRow(id, made.attempt, made.owner, made.started, None, None)
        self._attempts[place] = replace(begun, finished=now, outcome=made.outcome)
        state = state_after(made.outcome, self._policy)
        self._write(made.job, JobRecord(id, state, made.attempt, made.owner, 0.0, made.outcome), now)
        doubtful = self._rows[id].doubtful + isinstance(made.outcome, Unknown)
        self._rows[id] = replace(self._rows[id], doubtful=doubtful, reason=getattr(made.outcome, "reason", ""))
        return True

    def _write(self, job: Job, record: JobRecord, now: float) -> None:
        self._records[job.id] = record
        before = self._rows.get(job.id)
        self._rows[job.id] = JobRow(
            id=job.id,
            user_id=job.user,
            rule=job.rule,
            job_class=job.job_class,
            task=job.task,
            template=job.template,
            source=job.event["source"],
            event_id=job.event["id"],
            recipient=job.to,
            state=record.state,
            attempt=record.attempt,
            owner=record.owner,
            until=record.until,
            created=now if before is None else before.created,
            updated=now,
            reason="" if before is None else before.reason,
            doubtful=0 if before is None else before.doubtful,
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

    async def known(self, ids: Sequence[str]) -> dict[str, Known]:
        return {id: Known(row.state, row.attempt) for id in ids if (row := self._rows.get(id))}

    async def counts(self) -> dict[JobState, int]:
        states: tuple[JobState, ...] = get_args(JobState)
        return {state: sum(row.state == state for row in self._rows.values()) for state in states}

    async def attempts(self, job_id: str) -> list[AttemptRow]:
        return [row for (id, _), row in sorted(self._attempts.items()) if id == job_id]

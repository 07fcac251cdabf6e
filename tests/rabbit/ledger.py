"""TEMPORARY: a ledger in memory until tests/store/fakes.py is there."""

from collections.abc import Sequence

from activity.claims import Answer, Claim, Go, JobRecord, Over, Policy, answer, may_settle, state_after
from store.ledger import Settlement


class MemoryLedger:
    def __init__(self, policy: Policy = "resend") -> None:
        self.policy: Policy = policy
        self.records: dict[str, JobRecord] = {}

    async def claim(self, claims: Sequence[Claim], now: float) -> list[Answer]:
        answers: list[Answer] = []
        for claim in claims:
            job = claim.job.id
            got = answer(self.records.get(job), claim, now, self.policy)
            if isinstance(got, Go):
                self.records[job] = JobRecord(job, "sending", got.attempt, claim.owner, claim.until)
            elif isinstance(got, Over) and got.state == "unknown":
                old = self.records[job]
                self.records[job] = JobRecord(job, "unknown", old.attempt, old.owner, old.until, old.outcome)
            answers.append(got)
        return answers

    async def settle(self, settlements: Sequence[Settlement], now: float) -> list[bool]:
        done = []
        for one in settlements:
            ok = may_settle(self.records.get(one.job.id), one.attempt, one.owner)
            if ok:
                state = state_after(one.outcome, self.policy)
                self.records[one.job.id] = JobRecord(one.job.id, state, one.attempt, one.owner, now, one.outcome)
            done.append(ok)
        return done

"""What a person decides of a job that is `unknown`: that it arrived, or that it is sent again. The rule: `activity.claims`.

The ledger keeps no job that has ended, only what it is about: the event is read from the log, and its rule makes the job again,
the same one.
"""

import time
from collections.abc import Callable
from typing import Final, Literal, Protocol

from activity.errors import SettingError
from activity.events import decode_log
from activity.jobs import Job
from activity.ledger import JobRow
from activity.outcomes import Retry, Sent
from activity.rules import Rules
from store.interfaces import Decisions, JobList, Log

Verdict = Literal["arrived", "again"]
MISSING: Final = "the ledger has not heard of it"


class Decider(Protocol):
    """Decides what came of jobs."""

    async def decide(self, id: str, verdict: Verdict, by: str, note: str) -> str | None:
        """Returns why it can't be decided so, or None. Raises Unreachable while the store is away."""


class Deciding:
    """See `Decider`."""

    def __init__(
        self, jobs: JobList, log: Log, decisions: Decisions, rules: Callable[[], Rules], now: Callable[[], float] = time.time
    ) -> None:
        self._jobs, self._log, self._decisions, self._rules, self._now = jobs, log, decisions, rules, now

    async def decide(self, id: str, verdict: Verdict, by: str, note: str) -> str | None:
        """See `Decider.decide`."""
        found = await self._jobs.job(id)
        if found is None:
            return MISSING
        about = f": {note}" if note else ""
        if verdict == "arrived":
            outcome: Sent | Retry = Sent(f"{by} says that it arrived{about}")
            return await self._decisions.decide(_named(found.job), outcome, by, self._now())
        if found.job.state != "unknown":
            return f"it is {found.job.state}"
        job = await self._made_again(found.job)
        if isinstance(job, str):
            return job
        return await self._decisions.decide(job, Retry(f"{by} has it sent again{about}"), by, self._now())

    async def _made_again(self, row: JobRow) -> Job | str:
        """The job, or why it can't be had."""
        position = await self._log.position(row.user_id, row.source, row.event_id)
        entries = [] if position is None else await self._log.read(row.user_id, before=position + 1, limit=1)
        if not entries:
            return "its event is not in the log, so the mail can't be made again"
        try:
            jobs, _ = self._rules().jobs(decode_log(entries[0].event))
        except SettingError as error:
            return str(error)
        made = next((job for job in jobs if job.id == row.id), None)
        return f"rule {row.rule} makes no mail of its event any more" if made is None else made


def _named(row: JobRow) -> Job:
    return Job(id=row.id, rule="", job_class="transactional", user="", to="", template="", event={})

"""Replaying dead letters. The rules are `activity.redelivery`; here they meet the store, the rules file, the templates and Kafka.

an event   send (confirmed) ──▶ marked. Killed in between it is open still, and sent again: the sequencer drops the second
a job      the ledger gives it another round and the letter is marked, in one transaction; a mailer publishes it

Each letter is read when its turn comes; if somebody does something with it after that, it is not marked, and they are told.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Final, Protocol

import msgspec

from activity import names, redelivery
from activity.errors import SettingError
from activity.events import Refused, decode_log
from activity.jobs import Job
from activity.outcomes import Dead
from activity.redelivery import Accepted, Again, Trial
from activity.rules import Rules
from rabbit.attempt import readable
from rabbit.failpoints import failpoint
from rabbit.mail import TASK, Writer
from store.deadletters import MISSING, LetterHistory, LetterRow, Wanted
from store.interfaces import Desk, JobList, LetterList, Log

PAGE: Final = 100
Send = Callable[[Again], Awaitable[None]]
"""Sends to `activity.events`; returns once Kafka has confirmed it, raises Unreachable if it does not."""


class Letters(LetterList, Desk, Protocol):
    """The dead letters of a store."""


class Parts(msgspec.Struct, frozen=True):
    """What a replay needs. `rules` and `writer` are asked for each letter, and raise SettingError if they can't be had."""

    letters: Letters
    log: Log
    jobs: JobList
    rules: Callable[[], Rules]
    writer: Callable[[], Writer]
    send: Send


class Came(msgspec.Struct, frozen=True):
    """What came of one letter. `problem`: why it was not replayed. `notes`: what will come of it."""

    id: str
    problem: str | None = None
    notes: list[str] = []


class _Jobs(msgspec.Struct, frozen=True):
    """A letter leads to these. `new`: only those that the ledger has not heard of."""

    jobs: list[Job]
    new: bool


_Plan = Again | _Jobs | Accepted
"""What a replay does; Accepted: nothing, it is done already."""


class Redelivery:
    """Replays, or only says what would come of it."""

    def __init__(self, parts: Parts, now: Callable[[], float] = time.time) -> None:
        self._parts, self._now = parts, now

    async def trial(self, letter: LetterRow) -> Trial:
        """Whether it would be accepted now. It changes nothing."""
        plan = await self._plan(letter)
        return plan if isinstance(plan, Refused) else Accepted(await self._notes(plan))

    async def outlook(self, id: str) -> Came:
        """What would come of replaying it now. It changes nothing."""
        found = await self._parts.letters.letter(id)
        if found is None:
            return Came(id, MISSING)
        trial = await self.trial(found.letter)
        return Came(id, _refusal(trial)) if isinstance(trial, Refused) else Came(id, None, trial.notes)

    async def outlooks(self, ids: AsyncIterator[str]) -> AsyncGenerator[Came]:
        """The `outlook` of one after the other."""
        async for id in ids:
            yield await self.outlook(id)

    async def replay(self, id: str, by: str, note: str = "") -> Came:
        """Replays one letter that is open, if it would be accepted now. Raises Unreachable; then it may be asked for again."""
        found = await self._parts.letters.letter(id)
        if found is None:
            return Came(id, MISSING)
        return await self._replay(found, by, note)

    async def replay_all(
        self, ids: AsyncIterator[str], by: str, note: str = "", per_second: float | None = None
    ) -> AsyncGenerator[Came]:
        """Replays one after the other, each as it stands when its turn comes, at most so many a second. May be cut short at any
        point and begun again with those that are `open` then."""
        due = time.monotonic()
        async for id in ids:
            if per_second is not None:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                due = max(due, time.monotonic() - 1.0) + 1 / per_second
            yield await self.replay(id, by, note)

    async def open(self, wanted: Wanted) -> AsyncIterator[str]:
        """Those of the wanted letters that are open, the oldest first."""
        wanted = msgspec.structs.replace(wanted, state="open")
        after: str | None = None
        while page := await self._parts.letters.letters(wanted, limit=PAGE, after=after, oldest_first=True):
            for letter in page:
                yield letter.id
            after = page[-1].id

    async def _replay(self, found: LetterHistory, by: str, note: str) -> Came:
        desk, id, seen = self._parts.letters, found.letter.id, found.newest
        if found.closed is not None:
            return Came(id, found.closed)
        plan = await self._plan(found.letter)
        if isinstance(plan, Refused):
            return Came(id, _refusal(plan))
        notes = await self._notes(plan)
        if isinstance(plan, _Jobs):
            now = self._now()
            return Came(id, await desk.replay_jobs(id, plan.jobs, by, note, due=now, now=now, new=plan.new, seen=seen), notes)
        if isinstance(plan, Again):
            await self._parts.send(plan)
            failpoint("replay.sent")
        problem = await desk.replayed(id, by, note, self._now(), seen)
        if problem is not None and isinstance(plan, Again):
            problem = f"it was sent to {names.EVENTS} as it was before, but {problem}"
        return Came(id, problem, notes)

    # -- what would come of it -----------------------------------------------------------------------------------------

    async def _plan(self, letter: LetterRow) -> _Plan | Refused:
        if letter.state != "open":
            return Refused(letter.state, "the letter is not open")
        match redelivery.way(letter):
            case "events":
                return await self._event(letter)
            case "rule":
                return self._rule(letter)
            case "job":
                return self._job(letter)
            case refused:
                return refused

    async def _event(self, letter: LetterRow) -> _Plan | Refused:
        plan = redelivery.again(letter, letter.edited)
        if isinstance(plan, Refused):
            return plan
        event = plan.event
        position = await self._parts.log.position(event.user, event.source, event.id)
        if position is not None:
            return Accepted([f"the event stands in the log at position {position}: nothing is sent"])
        return redelivery.stands(letter, event) or plan

    def _rule(self, letter: LetterRow) -> _Plan | Refused:
        try:
            jobs, refused = self._parts.rules().jobs(decode_log(redelivery.logged(letter, letter.edited)))
        except msgspec.DecodeError as error:
            return Refused("bad-log-record", str(error))
        except SettingError as error:
            return Refused("rule", str(error))
        rule = redelivery.refused_rule(letter)
        made = redelivery.of_rule(jobs, rule)
        if made:
            return self._writable(made, new=True)
        return refused[0] if refused else Refused("rule", f"no rule makes a job of it{f', {rule} neither' if rule else ''}")

    def _job(self, letter: LetterRow) -> _Plan | Refused:
        body = letter.payload if letter.edited is None else letter.edited
        job = readable(body or b"")
        return Refused(job.reason, job.reply) if isinstance(job, Dead) else self._writable([job], new=False)

    def _writable(self, jobs: list[Job], *, new: bool) -> _Plan | Refused:
        """Whether the mails can be written; another task than that of mails can't be asked here."""
        try:
            for job in jobs:
                written = self._parts.writer().write(job, self._now()) if job.task == TASK else None
                if isinstance(written, Dead):
                    return Refused(written.reason, written.reply)
        except SettingError as error:
            return Refused("template", str(error))
        return _Jobs(jobs, new)

    async def _notes(self, plan: _Plan) -> list[str]:
        if isinstance(plan, Accepted):
            return plan.notes
        if isinstance(plan, Again):
            return [f"goes to activity.events as event {plan.event.id} of {plan.event.user}", *self._rule_notes(plan)]
        known = await self._parts.jobs.known([job.id for job in plan.jobs])
        return [_told(job, known[job.id].state if job.id in known else None, new=plan.new) for job in plan.jobs]

    def _rule_notes(self, plan: Again) -> list[str]:
        try:
            jobs, refused = self._parts.rules().jobs(decode_log(redelivery.as_logged(plan.event, self._now())))
        except SettingError as error:
            return [f"the rules can't be asked: {error}"]
        return [*(f"rule {job.rule} makes a job of it" for job in jobs), *(one.problem for one in refused)]


def _refusal(refused: Refused) -> str:
    return f"{refused.reason}: {refused.problem}"


def _told(job: Job, state: str | None, *, new: bool) -> str:
    if new and state is not None:
        return f"the ledger knows job {job.id}, which is {state}: nothing is sent"
    return f"job {job.id} of rule {job.rule} goes to {job.key}"

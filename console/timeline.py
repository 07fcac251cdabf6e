"""`/api/users/{id}/timeline`: why a user got a mail, or not. The rules of it are `activity.timeline`; here it is read."""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from msgspec.structs import replace

from activity.errors import ChoparError
from activity.events import decode_log
from activity.inspection import StateView
from activity.rules import Rules
from activity.timeline import EventStory, JobStory, Logged, RuleStory, Timeline, event_stories, job_ids
from console.activity import ActivityQuery, read_page
from console.masking import mask_address, mask_text
from console.problems import Problem
from console.routes import Call, Endpoint
from store.interfaces import JobList, Log

FindState = Callable[[str], Awaitable[StateView | None]]
"""A user's state, whoever owns it; None: there is none. Raises Problem if it can't be told now."""
ReadRules = Callable[[], Rules]
"""The rules as they are now. Raises ChoparError if they are wrong."""


class UserTimeline(Timeline, frozen=True):
    """A `Timeline`; `masked`: payloads are left out and addresses hidden, the token shows them."""

    masked: bool


class Timelines:
    """Reads a user's timeline from store, rules and table. What can't be asked is named in it; only without the store is none."""

    def __init__(self, log: Log, jobs: JobList, rules: ReadRules, state: FindState) -> None:
        self._log, self._jobs, self._rules, self._state = log, jobs, rules, state

    async def read(self, user: str, query: ActivityQuery) -> Timeline:
        """A page of it. Raises Unreachable while the store is away."""
        problems: list[str] = []
        entries, before = await read_page(self._log, user, query)
        logged = [Logged(decode_log(one.event), one.kafka_partition, one.kafka_offset, one.repeats) for one in entries]
        try:
            rules = self._rules()
        except ChoparError as error:
            rules = None
            problems.append(f"the rules can't be read, so nothing is said about rules that made no job: {error}")
        events = [(one.source, one.event_id) for one in entries]
        ids = [] if rules is None else job_ids(logged, rules)
        stories = event_stories(logged, rules, await self._jobs.of_events(user, events, ids))
        try:
            state = await self._state(user)
        except Problem as problem:
            problems.append(f"what waits for {user} can't be told now: {problem.detail}")
            return Timeline(user, stories, before, None, None, problems)
        waiting, duplicates = ([], 0) if state is None else (state.waiting, state.duplicates)
        return Timeline(user, stories, before, waiting, duplicates, problems)


def timeline_routes(timelines: Timelines) -> list[Endpoint]:
    """The endpoint."""

    async def show(call: Call[ActivityQuery, None]) -> UserTimeline:
        found = await timelines.read(call.path["id"], call.query)
        return shown_to(found, trusted=call.trusted)

    summary = "What became of each event of a user: its verdict, each rule and why, each job and each attempt at it."
    return [Endpoint("/api/users/{id}/timeline", show, summary, UserTimeline, query=ActivityQuery, problems=(503,))]


def shown_to(timeline: Timeline, *, trusted: bool) -> UserTimeline:
    """As it may be shown: without the token no payload, and no address whole."""
    events = timeline.events if trusted else [_masked(one) for one in timeline.events]
    fields = {**{name: getattr(timeline, name) for name in Timeline.__struct_fields__}, "events": events}
    return UserTimeline(**fields, masked=not trusted)


def _masked(event: EventStory) -> EventStory:
    return replace(event, data=msgspec.Raw(b"null"), rules=[_masked_rule(rule) for rule in event.rules])


def _masked_rule(rule: RuleStory) -> RuleStory:
    if rule.job is not None:
        return replace(rule, why=mask_text(rule.why), job=_masked_job(rule.job))
    return replace(rule, why=HIDDEN_WHY) if rule.matches else rule


HIDDEN_WHY: Final = "something in the event's data keeps it from making a job; the token shows what"
"""The reason may quote the data."""


def _masked_job(job: JobStory) -> JobStory:
    attempts = [replace(one, words=mask_text(one.words)) for one in job.attempts]
    return replace(job, to=mask_address(job.to), says=mask_text(job.says), attempts=attempts)

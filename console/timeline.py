"""`/api/users/{id}/timeline`: why a user got a mail, or not. The rules of it are `activity.timeline`; here it is read."""

from collections.abc import Awaitable, Callable
from math import inf, nextafter

import msgspec
from msgspec.structs import replace

from activity.dead import DeskEntry
from activity.errors import ChoparError
from activity.events import decode_log
from activity.inspection import StateView
from activity.letters import LetterStory
from activity.merging import Place, Stretch, merge
from activity.rules import Rules
from activity.timeline import EventStory, JobStory, Logged, RuleStory, Timeline, job_ids, stories
from console.activity import Part, read_page, seconds
from console.cursors import read_cursor, write_cursor
from console.letters import masked_actions
from console.masking import HIDDEN_WHY, mask_address, mask_problem, mask_text
from console.problems import Problem
from console.routes import Call, Cursor, Endpoint
from store.interfaces import JobList, Log, UserLetters

FindState = Callable[[str], Awaitable[StateView | None]]
"""A user's state, whoever owns it; None: there is none. Raises Problem if it can't be told now."""
ReadRules = Callable[[], Rules]
"""The rules as they are now. Raises ChoparError if they are wrong."""


class TimelineQuery(Part, frozen=True, forbid_unknown_fields=True):
    """Which part of the timeline. `from` and `to` are about when a letter died, too; with `type` there are none: it has none."""

    cursor: Cursor | None = None


class UserTimeline(Timeline, frozen=True):
    """A `Timeline`; `masked`: payloads are left out and addresses hidden, the token shows them."""

    masked: bool


class Timelines:
    """Reads a user's timeline from store, rules and table. What can't be asked is named in it; only without the store is none."""

    def __init__(self, log: Log, jobs: JobList, letters: UserLetters, rules: ReadRules, state: FindState) -> None:
        self._log, self._jobs, self._letters, self._rules, self._state = log, jobs, letters, rules, state

    async def read(self, user: str, query: TimelineQuery) -> Timeline:
        """A page of it. Raises Unreachable while the store is away, Problem if the cursor is none of ours."""
        problems: list[str] = []
        place = Place() if query.cursor is None else read_cursor(query.cursor, Place)
        events, letters = await self._logged(user, query, place), await self._dead(user, query, place)
        page, following = merge(events, letters, place, query.limit)
        logged = [one for one in page if isinstance(one, Logged)]
        try:
            rules = self._rules()
        except ChoparError as error:
            rules = None
            problems.append(f"the rules can't be read, so nothing is said about rules that made no job: {error}")
        ids = [] if rules is None else job_ids(logged, rules)
        histories = await self._jobs.of_events(user, [(one.record.source, one.record.id) for one in logged], ids)
        dead = await self._letters.of_jobs(user, sorted({*ids, *(one.job.id for one in histories)}))
        entries = stories(page, rules, histories, dead)
        cursor = None if following is None else write_cursor(following)
        try:
            state = await self._state(user)
        except Problem as problem:
            problems.append(f"what waits for {user} can't be told now: {problem.detail}")
            return Timeline(user, entries, cursor, None, None, problems)
        waiting, duplicates = ([], 0) if state is None else (state.waiting, state.duplicates)
        return Timeline(user, entries, cursor, waiting, duplicates, problems)

    async def _logged(self, user: str, query: Part, place: Place) -> Stretch[Logged]:
        entries, before = await read_page(self._log, user, query, place.event)
        logged = [Logged(decode_log(one.event), one.kafka_partition, one.kafka_offset, one.repeats) for one in entries]
        return Stretch(logged, before is not None)

    async def _dead(self, user: str, query: Part, place: Place) -> Stretch[DeskEntry]:
        if query.type is not None:
            return Stretch([], more=False)
        since, until, as_of = seconds(query.since), seconds(query.until), seconds(query.as_of)
        ends = min(inf if until is None else until, inf if as_of is None else nextafter(as_of, inf))
        found = await self._letters.of_user(
            user, limit=query.limit, after=place.letter, since=since, until=None if ends == inf else ends
        )
        return Stretch(found, len(found) == query.limit)


def timeline_routes(timelines: Timelines) -> list[Endpoint]:
    """The endpoint."""

    async def show(call: Call[TimelineQuery, None]) -> UserTimeline:
        found = await timelines.read(call.path["id"], call.query)
        return shown_to(found, trusted=call.trusted)

    summary = "What became of each event of a user: its verdict, each rule and why, each job and attempt; what was refused."
    return [Endpoint("/api/users/{id}/timeline", show, summary, UserTimeline, query=TimelineQuery, problems=(503,))]


def shown_to(timeline: Timeline, *, trusted: bool) -> UserTimeline:
    """As it may be shown: without the token no payload, and no address whole."""
    entries = timeline.entries if trusted else [_masked(one) for one in timeline.entries]
    fields = {**{name: getattr(timeline, name) for name in Timeline.__struct_fields__}, "entries": entries}
    return UserTimeline(**fields, masked=not trusted)


def _masked(entry: EventStory | LetterStory) -> EventStory | LetterStory:
    if isinstance(entry, LetterStory):
        problem = mask_problem(entry.reason, entry.problem)
        return replace(entry, says=mask_text(entry.says), problem=problem, actions=masked_actions(entry.actions))
    return replace(entry, data=msgspec.Raw(b"null"), rules=[_masked_rule(rule) for rule in entry.rules])


def _masked_rule(rule: RuleStory) -> RuleStory:
    if rule.job is not None:
        return replace(rule, why=mask_text(rule.why), job=_masked_job(rule.job))
    return replace(rule, why=HIDDEN_WHY) if rule.matches else rule


def _masked_job(job: JobStory) -> JobStory:
    attempts = [replace(one, words=mask_text(one.words)) for one in job.attempts]
    return replace(job, to=mask_address(job.to), says=mask_text(job.says), attempts=attempts)

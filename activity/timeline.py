"""A user's timeline: what became of each event, from its verdict to the mail server's words. Pure.

It answers "why did this user get that mail, or not?" from five sources that know nothing of each other: the activity log, the
rules as they are now, the send ledger, the dead letters, and the user's state in the table.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from activity.dead import DeskEntry
from activity.events import LogRecord, Verdict, rfc3339
from activity.inspection import WaitingView
from activity.jobs import Job, JobClass, JobState, job_id
from activity.ledger import AttemptRow, JobHistory, JobRow
from activity.letters import LetterStory, letter_story
from activity.outcomes import Dead, Outcome, Retry, Sent, Unknown
from activity.rules import Explained, Rules
from activity.trace import trace_id

State = JobState | Literal["on its way"]
"""A job that the ledger has not heard of is on its way."""


class Logged(msgspec.Struct, frozen=True):
    """An event of the log as the store has it. `repeats`: the position at which it stood before."""

    record: LogRecord
    partition: int
    offset: int
    repeats: int | None = None


class AttemptStory(msgspec.Struct, frozen=True):
    """An attempt. `outcome`: what came of it, `claimed` as long as nobody knows. `words`: the mail server's, or our reason."""

    number: int
    started: str
    finished: str | None
    seconds: float | None
    outcome: Literal["claimed", "sent", "retry", "dead", "unknown"]
    words: str
    owner: str


class JobStory(msgspec.Struct, frozen=True):
    """A job and how far it is; `says` is that in a sentence. `to`, `created` and `updated` are null before anybody knows them.
    `letter`: its newest dead letter at the desk, if it has one."""

    id: str
    state: State
    says: str
    job_class: JobClass = msgspec.field(name="class")
    to: str
    template: str
    created: str | None
    updated: str | None
    due: str | None
    doubtful: int
    repeats: int
    attempts: list[AttemptStory]
    letter: str | None = None


class RuleStory(msgspec.Struct, frozen=True):
    """What a rule made of the event. `why` it matches or not, or what keeps it from making a job."""

    rule: str
    matches: bool
    why: str
    job: JobStory | None


class EventStory(msgspec.Struct, frozen=True, tag_field="kind", tag="event"):
    """An event of the log and all that came of it. `says`: its verdict in a sentence. `data`: as the event brought it."""

    position: int
    verdict: Verdict
    says: str
    type: str
    source: str
    id: str
    sequence: str | None
    time: str | None
    received: str
    repeats: int | None
    trace_id: str | None
    kafka_partition: int
    kafka_offset: int
    data: msgspec.Raw
    rules: list[RuleStory]


class Timeline(msgspec.Struct, frozen=True):
    """`entries` newest first; `next` is the `cursor` of the next page. `waiting` and `duplicates` are of now, from the table.

    Where the table or the rules could not be asked, `problems` says so; what depends on them is null or empty then.
    """

    user: str
    entries: list[EventStory | LetterStory]
    next: str | None
    waiting: list[WaitingView] | None
    duplicates: int | None
    problems: list[str]


def stories(
    page: Sequence[Logged | DeskEntry], rules: Rules | None, histories: Sequence[JobHistory], letters: Mapping[str, str]
) -> list[EventStory | LetterStory]:
    """The stories of a page, in its order; `letters`: the newest letter of each job that has one."""
    logged = [one for one in page if isinstance(one, Logged)]
    events = iter(event_stories(logged, rules, histories))
    return [_with_letters(next(events), letters) if isinstance(one, Logged) else letter_story(one) for one in page]


def job_ids(logged: Sequence[Logged], rules: Rules) -> list[str]:
    """The ids of the jobs that the rules may have made of `logged`. A job that was cancelled early is known by nothing else."""
    return [job_id(one.record.subject, one.record.source, one.record.id, name) for one in logged for name in rules.names]


def event_stories(logged: Sequence[Logged], rules: Rules | None, histories: Sequence[JobHistory]) -> list[EventStory]:
    """The stories of `logged`, in the same order. `histories`: all jobs of these events that the ledger has, in any order."""
    by_event: dict[tuple[str, str], list[JobHistory]] = defaultdict(list)
    for history in histories:
        by_event[history.job.source, history.job.event_id].append(history)
    nameless = {history.job.id: history for history in by_event.pop(("", ""), [])}
    return [_event(one, rules, by_event.get((one.record.source, one.record.id), []), nameless) for one in logged]


def _with_letters(event: EventStory, letters: Mapping[str, str]) -> EventStory:
    rules = [
        rule if rule.job is None else replace(rule, job=replace(rule.job, letter=letters.get(rule.job.id)))
        for rule in event.rules
    ]
    return replace(event, rules=rules)


# -- an event ----------------------------------------------------------------------------------------------------------

_VERDICTS: Final[Mapping[Verdict, str]] = {
    "logged": "it is in the log, in its source's order",
    "late": "it is in the log, but came after the events that it should have come before",
}
_GONE: Final = "it made this job; there is no such rule any more"
_UNREAD: Final = "it made this job"
_CHANGED: Final = "it made this job; as the rules are now it would not: "


def _event(
    logged: Logged, rules: Rules | None, histories: Sequence[JobHistory], nameless: Mapping[str, JobHistory]
) -> EventStory:
    record = logged.record
    says = _VERDICTS[record.verdict]
    if logged.repeats is not None:
        says = f"{says}; it stands at {logged.repeats} too: it came again after its first coming had been forgotten"
    explained = [] if rules is None else rules.explain(record)
    return EventStory(
        position=record.position,
        verdict=record.verdict,
        says=says,
        type=record.type,
        source=record.source,
        id=record.id,
        sequence=record.sequence,
        time=record.time,
        received=record.received,
        repeats=logged.repeats,
        trace_id=trace_id(record.traceparent),
        kafka_partition=logged.partition,
        kafka_offset=logged.offset,
        data=record.data,
        rules=_rules(record, explained, histories, nameless),
    )


def _rules(
    record: LogRecord, explained: Sequence[Explained], histories: Sequence[JobHistory], nameless: Mapping[str, JobHistory]
) -> list[RuleStory]:
    """First what the rules of now say, then the jobs of rules that are gone, or could not be read."""
    by_rule = {history.job.rule: history for history in histories}
    stories = []
    for one in explained:
        id = job_id(record.subject, record.source, record.id, one.rule) if nameless else ""
        stories.append(_rule(one, by_rule.pop(one.rule, None) or nameless.get(id)))
    why = _GONE if explained else _UNREAD
    return [*stories, *(RuleStory(name, True, why, _done(history, None)) for name, history in sorted(by_rule.items()))]


def _rule(explained: Explained, history: JobHistory | None) -> RuleStory:
    if history is not None:
        why = explained.why if explained.job is not None else _CHANGED + explained.why
        return RuleStory(explained.rule, True, why, _done(history, explained.job))
    if (job := explained.job) is None:
        return RuleStory(explained.rule, explained.matches, explained.why, None)
    due = None if job.due is None else rfc3339(job.due)
    story = JobStory(job.id, "on its way", _ON_ITS_WAY, job.job_class, job.to, job.template, None, None, due, 0, 0, [])
    return RuleStory(explained.rule, True, explained.why, story)


# -- a job -------------------------------------------------------------------------------------------------------------

_ON_ITS_WAY: Final = (
    "no mailer has begun it: it waits on its queue, or the notifier has not come to the event yet; "
    "a rule that is younger than the event makes no job of it"
)


def _done(history: JobHistory, made: Job | None) -> JobStory:
    """`made`: the job as the rules make it now, for one that the ledger knows only by its id."""
    job = history.job
    attempts = [attempt_story(row) for row in history.attempts]
    return JobStory(
        id=job.id,
        state=job.state,
        says=_says(job, attempts[-1].words if attempts else ""),
        job_class=job.job_class,
        to=job.recipient or (made.to if made else ""),
        template=job.template or (made.template if made else ""),
        created=rfc3339(job.created),
        updated=rfc3339(job.updated),
        due=None if job.due is None else rfc3339(job.due),
        doubtful=job.doubtful,
        repeats=job.repeats,
        attempts=attempts,
    )


def _says(job: JobRow, words: str) -> str:
    """The state in a sentence; `words` are those of the newest attempt."""
    number, because = job.attempt, f": {words}" if words else ""
    match job.state:
        case "sent":
            return f"sent with attempt {number}{because}"
        case "dead":
            return f"given up after attempt {number} ({job.reason}){because}"
        case "waiting" if number == 0:
            return "it waits on its queue"
        case "waiting":
            return f"attempt {number} did not do it{because}; it waits for the next one"
        case "sending":
            return f"attempt {number} is being made"
        case "scheduled":
            return f"it waits for its time, {rfc3339(job.due or 0.0)}"
        case "cancelled":
            return "cancelled by a person"
        case "unknown":
            return f"nobody knows whether the mail was sent; a person decides ({job.reason})"


def attempt_story(row: AttemptRow) -> AttemptStory:
    finished = None if row.finished is None else rfc3339(row.finished)
    seconds = None if row.finished is None else round(row.finished - row.started, 3)
    outcome, words = _came_of_it(row.outcome)
    return AttemptStory(row.number, rfc3339(row.started), finished, seconds, outcome, words, row.owner)


def _came_of_it(outcome: Outcome | None) -> tuple[Literal["claimed", "sent", "retry", "dead", "unknown"], str]:
    match outcome:
        case None:
            return "claimed", ""
        case Sent():
            return "sent", outcome.reply
        case Retry():
            return "retry", outcome.reason
        case Dead():
            return "dead", outcome.reply or outcome.reason
        case Unknown():
            return "unknown", outcome.reason

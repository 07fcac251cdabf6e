"""The timeline: every event once, every rule with its reason, every job of the ledger, and nothing that is not there."""

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from activity import timeline
from activity.events import decode_log, log_value
from activity.jobs import JobState, job_id
from activity.ledger import AttemptRow, JobHistory, JobRow
from activity.outcomes import Dead, Outcome, Retry, Sent, Unknown
from activity.timeline import EventStory, Logged, event_stories
from tests.activity.examples import value
from tests.activity.test_rules import bulk, parsed, rule

WELCOME = rule(to="email")
RECEIPT = rule(name="receipt", on="order.*", to="email", template="receipt")
NEWS = bulk(name="news", on="*", to="address", template="receipt")
RULES = parsed(WELCOME, RECEIPT, NEWS)
TYPES = ("user.signed_up", "order.placed", "page.viewed")


def logged(position: int = 1, type: str = "user.signed_up", verdict: str = "logged", **changes: Any) -> Logged:
    event = value(type=type, id=f"e-{position}", **{"data": {"email": "ann@shop.example"}, **changes})
    record = decode_log(log_value(event, position, "late" if verdict == "late" else "logged", 0.0))
    return Logged(record, 3, 100 + position)


def history(of: Logged, name: str = "welcome", state: JobState = "sent", *outcomes: Outcome | None, **changes: Any) -> JobHistory:
    record = of.record
    row = JobRow(
        id=job_id(record.subject, record.source, record.id, name),
        user_id=record.subject,
        rule=name,
        job_class="transactional",
        task="email",
        template="welcome",
        source=record.source,
        event_id=record.id,
        recipient="ann@shop.example",
        state=state,
        attempt=len(outcomes),
        owner="m-1",
        until=0.0,
        created=100.0,
        updated=101.0,
        reason=str(getattr(outcomes[-1] if outcomes else None, "reason", "")),
        doubtful=0,
    )
    attempts = [
        AttemptRow(row.id, number, "m-1", float(number), None if outcome is None else number + 0.25, outcome)
        for number, outcome in enumerate(outcomes, 1)
    ]
    return JobHistory(replace(row, **changes), attempts)


def story(of: Logged, *histories: JobHistory) -> EventStory:
    (found,) = event_stories([of], RULES, histories)
    return found


def rules_of(found: EventStory) -> dict[str, timeline.RuleStory]:
    assert len({one.rule for one in found.rules}) == len(found.rules)
    return {one.rule: one for one in found.rules}


# -- why was there a mail, or none -------------------------------------------------------------------------------------


def test_a_rule_for_other_events_says_so() -> None:
    found = rules_of(story(logged(type="page.viewed")))["welcome"]
    assert (found.matches, found.job) == (False, None)
    assert found.why == "it is for events of type user.signed_up, this one is page.viewed"


def test_a_rule_that_lacks_something_says_what() -> None:
    found = rules_of(story(logged()))["news"]
    assert (found.matches, found.why, found.job) == (True, "data has no address", None)


def test_data_that_can_not_be_read_is_why_there_is_no_mail() -> None:
    deep = logged()
    deep = replace(deep, record=replace(deep.record, data=msgspec.Raw(b"[" * 5000 + b"]" * 5000)))
    found = rules_of(story(deep))["welcome"]
    assert (found.matches, found.job) == (True, None)
    assert found.why.startswith("data can't be read: ")


def test_a_job_that_nobody_has_begun_is_on_its_way() -> None:
    job = rules_of(story(logged()))["welcome"].job
    assert job is not None
    assert (job.id, job.state, job.to, job.attempts) == (
        job_id("u-1", "/web", "e-1", "welcome"),
        "on its way",
        "ann@shop.example",
        [],
    )
    assert job.says.startswith("no mailer has begun it")


@pytest.mark.parametrize(
    ("state", "outcomes", "says"),
    [
        ("sent", (Retry("451 later"), Sent("250 2.0.0 queued as 7")), "sent with attempt 2: 250 2.0.0 queued as 7"),
        ("dead", (Dead("no-such-user", "550 who?"),), "given up after attempt 1 (no-such-user): 550 who?"),
        ("waiting", (Retry("421 busy"),), "attempt 1 did not do it: 421 busy; it waits for the next one"),
        ("waiting", (), "it waits on its queue"),
        ("sending", (None,), "attempt 1 is being made"),
        ("scheduled", (), "it waits for its time, 1970-01-01T00:00:07.000Z"),
        ("cancelled", (), "cancelled by a person"),
        ("unknown", (Unknown("lost"),), "nobody knows whether the mail was sent; a person decides (lost)"),
    ],
)
def test_how_far_a_job_is_in_a_sentence(state: JobState, outcomes: tuple[Outcome | None, ...], says: str) -> None:
    event = logged()
    job = rules_of(story(event, history(event, "welcome", state, *outcomes, due=7.0 if state == "scheduled" else None)))[
        "welcome"
    ].job
    assert job is not None
    assert (job.state, job.says) == (state, says)


def test_each_attempt_has_the_servers_words() -> None:
    event = logged()
    outcomes = (Retry("451 later"), Unknown("lost"), Dead("spent"), Sent("250 ok"), None)
    job = rules_of(story(event, history(event, "welcome", "sending", *outcomes)))["welcome"].job
    assert job is not None
    assert [(one.number, one.outcome, one.words, one.seconds) for one in job.attempts] == [
        (1, "retry", "451 later", 0.25),
        (2, "unknown", "lost", 0.25),
        (3, "dead", "spent", 0.25),
        (4, "sent", "250 ok", 0.25),
        (5, "claimed", "", None),
    ]


def test_the_job_of_a_rule_that_is_gone_or_was_changed_is_still_told() -> None:
    event = logged(type="page.viewed")
    found = rules_of(story(event, history(event, "farewell"), history(event, "welcome")))
    assert found["farewell"].why == "it made this job; there is no such rule any more"
    assert found["welcome"].matches
    assert found["welcome"].why.startswith("it made this job; as the rules are now it would not: it is for events of type")
    (unread,) = event_stories([event], None, [history(event, "welcome")])
    assert [(one.rule, one.why) for one in unread.rules] == [("welcome", "it made this job")]


def test_a_job_that_was_cancelled_before_anybody_heard_of_it_is_found_by_its_id() -> None:
    event = logged()
    nameless = history(event, "welcome", "cancelled", rule="", source="", event_id="", recipient="", template="", user_id="")
    assert nameless.job.id in timeline.job_ids([event], RULES)
    job = rules_of(story(event, nameless))["welcome"].job
    assert job is not None
    assert (job.state, job.to, job.template) == ("cancelled", "ann@shop.example", "welcome")


def test_verdicts_in_words() -> None:
    assert story(logged()).says == "it is in the log, in its source's order"
    assert "came after the events" in story(logged(verdict="late")).says
    assert "it stands at 7 too" in story(replace(logged(9), repeats=7)).says


# -- whatever there is -------------------------------------------------------------------------------------------------

NAMES = ("welcome", "receipt", "news", "gone")
some_outcome = st.sampled_from([Sent("250 ok"), Retry("451 no"), Dead("x", "550 no"), Unknown("lost"), None])


@st.composite
def pages(draw: st.DrawFn) -> tuple[list[Logged], list[JobHistory]]:
    """A page of the log, and jobs of some of its events, in any order."""
    positions = draw(st.lists(st.integers(1, 10**9), unique=True, max_size=6))
    page = []
    for position in sorted(positions, reverse=True):
        data = draw(st.sampled_from([None, {}, {"email": "a@b.example"}, {"address": "c@d.example"}, [1]]))
        page.append(logged(position, draw(st.sampled_from(TYPES)), draw(st.sampled_from(["logged", "late"])), data=data))
    jobs = []
    for event in page:
        for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
            outcomes = draw(st.lists(some_outcome, max_size=4))
            jobs.append(history(event, name, draw(st.sampled_from(get_args(JobState))), *outcomes, due=1.0))
    return page, draw(st.permutations(jobs))


@given(pages(), st.booleans())
def test_nothing_is_left_out_and_nothing_made_up(given_: tuple[list[Logged], list[JobHistory]], readable: bool) -> None:
    page, jobs = given_
    found = event_stories(page, RULES if readable else None, jobs)
    assert [(one.position, one.id, one.verdict, one.data) for one in found] == [
        (one.record.position, one.record.id, one.record.verdict, one.record.data) for one in page
    ]
    told = {rule.job.id: rule.job for one in found for rule in one.rules if rule.job is not None}
    known = {one.job.id: one for one in jobs}
    assert {id for id, job in told.items() if job.state != "on its way"} == set(known)
    for id, one in known.items():
        assert (told[id].state, told[id].to) == (one.job.state, one.job.recipient)
        assert [attempt.number for attempt in told[id].attempts] == [row.number for row in one.attempts]
    for event, told_of in zip(page, found, strict=True):
        rules = rules_of(told_of)
        assert all(rule.why for rule in told_of.rules)
        if readable:
            assert list(rules)[:3] == RULES.names
            made, _ = RULES.jobs(event.record)
            wanted = {job.id for job in made} | {h.job.id for h in jobs if h.job.event_id == event.record.id}
            assert {rule.job.id for rule in told_of.rules if rule.job} == wanted
    msgspec.json.encode(found)

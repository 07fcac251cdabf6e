"""Whom "not now" means: an outage spends no attempt, and one job that is refused for ever comes to an end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity import refusals
from activity.outcomes import Dead, Outcome, Retry, Sent, Unknown
from activity.refusals import LONGEST, PATIENCE, Refusals

BUSY = Retry("421 closing", burn=False, slow=True, kind="busy")
LOGIN = Retry("530 log in first", 90.0, burn=False)
AWAY = Retry("mail server away", burn=False, slow=True, kind="connection")
LATER, DEAD, UNKNOWN = Retry("451 later"), Dead("refused"), Unknown("lost")
MEANT = Retry("421 closing", burn=True, slow=False, kind="busy")

jobs = st.sampled_from("abcd")
not_taken = st.sampled_from([BUSY, LOGIN, AWAY, LATER, DEAD, UNKNOWN])


def counts(outcome: Outcome) -> bool:
    return not (isinstance(outcome, Retry) and not outcome.burn)


@given(st.lists(st.tuples(jobs, not_taken), max_size=200))
def test_while_none_is_taken_nothing_counts_that_did_not_by_itself(heard: list[tuple[str, Outcome]]) -> None:
    rule = Refusals()
    for job, outcome in heard:
        got = rule.weigh(job, outcome)
        assert counts(got) == counts(outcome)
        if isinstance(got, Retry) and isinstance(outcome, Retry):
            assert (outcome.after or 0.0) <= (got.after or 0.0) <= max(outcome.after or 0.0, LONGEST)
        else:
            assert got == outcome


@given(st.lists(st.lists(st.tuples(st.sampled_from("xyz"), not_taken | st.just(Sent())), max_size=5), max_size=40))
def test_who_is_refused_while_others_are_taken_comes_to_an_end(between: list[list[tuple[str, Outcome]]]) -> None:
    """Each time but the first few that it is refused after another was taken counts, and no other time."""
    rule = Refusals()
    for number, others in enumerate(between, 1):
        taken = sum(isinstance(rule.weigh(job, outcome), Sent) for job, outcome in others)
        got = rule.weigh("a", BUSY)
        assert counts(got) == (number > PATIENCE and taken > 0)
        assert got == MEANT or not counts(got)


@given(st.lists(st.tuples(jobs, not_taken | st.just(Sent())), max_size=100))
def test_what_is_said_of_a_job_itself_stays_as_it_is(heard: list[tuple[str, Outcome]]) -> None:
    rule = Refusals()
    for job, outcome in heard:
        got = rule.weigh(job, outcome)
        assert got == outcome or outcome in (BUSY, LOGIN)


def test_the_wait_grows_while_all_are_refused() -> None:
    rule = Refusals()
    waits = [got.after for _ in range(9) if isinstance(got := rule.weigh("a", BUSY), Retry)]
    assert waits == [None, None, None, 8.0, 16.0, 32.0, 64.0, 64.0, 64.0]


def test_no_connection_says_nothing_about_a_job() -> None:
    rule = Refusals()
    for number in range(10):
        rule.weigh(f"other {number}", Sent())
        assert rule.weigh("a", AWAY) == AWAY


def test_who_was_taken_or_is_dead_begins_anew() -> None:
    for end in (Sent(), DEAD):
        rule = Refusals()
        for _ in range(PATIENCE):
            rule.weigh("a", BUSY)
        rule.weigh("a", end)
        rule.weigh("b", Sent())
        assert rule.weigh("a", BUSY) == BUSY


def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "REMEMBERED", 3)
    rule = Refusals()
    for number in range(100):
        rule.weigh(f"j-{number}", BUSY)
    assert len(rule._heard) == 3

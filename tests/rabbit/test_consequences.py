"""What follows from an outcome."""

from hypothesis import given
from hypothesis import strategies as st

from activity.names import (
    ATTEMPT_HEADER,
    DEAD_EXCHANGE,
    DEAD_QUEUE,
    DELAY_HEADER,
    DUE_HEADER,
    JOB_HEADER,
    LOST_HEADER,
    REASON_HEADER,
    REPLY_HEADER,
    RETRY_EXCHANGE,
)
from activity.outcomes import Dead, Outcome, Retry, Sent, Unknown
from activity.retry import TIERS, Span
from rabbit.consequences import SHORT, Terms, appointed, letter_after, put_off, settled
from rabbit.letters import Letter
from tests.rabbit.orders import make_job

JOB, BODY = make_job(), b"as it came"
TERMS = Terms(max_attempts=4, base=1.0, cap=3600.0)


def after(outcome: Outcome, attempt: int = 1, terms: Terms = TERMS, jitter: float = 0.999) -> Letter | None:
    return letter_after(outcome, JOB, BODY, attempt, terms, jitter)


def test_a_job_that_was_sent_needs_nothing_more() -> None:
    assert after(Sent()) is None


def test_a_retry_is_the_next_attempt_after_its_backoff() -> None:
    found = [after(Retry("451"), attempt) for attempt in (1, 2, 3, 4)]
    wanted = [(RETRY_EXCHANGE, JOB.key, BODY, attempt, delay) for attempt, delay in ((2, 1), (3, 2), (4, 4), (5, 8))]
    assert [(x.exchange, x.key, x.body, x.headers[ATTEMPT_HEADER], x.headers[DELAY_HEADER]) for x in found if x] == wanted


def test_attempts_before_a_replay_do_not_make_the_backoff_longer() -> None:
    letter = letter_after(Retry("451"), JOB, BODY, 10, TERMS, 0.999, before=8)
    assert letter is not None
    assert (letter.headers[ATTEMPT_HEADER], letter.headers[DELAY_HEADER]) == (11, 2)


def test_the_far_ends_wish_to_wait_longer_is_met() -> None:
    letter = after(Retry("451", after=100.0))
    assert letter is not None
    assert letter.headers[DELAY_HEADER] == 128


def test_an_attempt_that_does_not_count_keeps_its_number() -> None:
    for outcome, delay in ((Retry("away", burn=False), SHORT), (Retry("away", after=60.0, burn=False), 64)):
        letter = after(outcome, 3)
        assert letter is not None
        assert (letter.headers[ATTEMPT_HEADER], letter.headers[DELAY_HEADER]) == (3, delay)


def test_a_dead_job_is_kept_with_its_reason() -> None:
    letter = after(Dead("refused", "550 " + "x" * 1000), 2)
    assert letter is not None
    assert (letter.exchange, letter.key, letter.body) == (DEAD_EXCHANGE, DEAD_QUEUE, BODY)
    assert letter.headers[JOB_HEADER] == JOB.id
    assert (letter.headers[REASON_HEADER], letter.headers[ATTEMPT_HEADER]) == ("refused", 2)
    assert len(str(letter.headers[REPLY_HEADER])) == 500


def test_an_unknown_outcome_follows_the_policy() -> None:
    letter = after(Unknown("lost"))
    assert letter is not None
    assert letter.headers[ATTEMPT_HEADER] == 2
    assert after(Unknown("lost"), terms=Terms(policy="hold")) is None


def test_the_last_attempt_is_spent() -> None:
    for attempt, wanted in ((3, Retry("451")), (4, Dead("spent", "451")), (5, Dead("spent", "451"))):
        assert settled(Retry("451"), attempt, TERMS) == wanted
        assert settled(Retry("away", burn=False), attempt, TERMS) == Retry("away", burn=False)
    assert settled(Unknown("lost"), 4, TERMS) == Dead("spent", "unknown: lost")
    assert settled(Unknown("lost"), 4, Terms(max_attempts=4, policy="hold")) == Unknown("lost")
    assert settled(Sent("250"), 4, TERMS) == Sent("250")
    assert settled(Dead("refused"), 4, TERMS) == Dead("refused")


@given(seconds=st.floats(-1e9, 1e9), attempt=st.integers(1, 1000), jitter=st.floats(0, 1, exclude_max=True))
def test_every_delay_is_one_there_is_a_queue_for(seconds: float, attempt: int, jitter: float) -> None:
    for letter in (put_off(JOB, BODY, attempt, seconds), after(Retry("x", after=seconds), attempt, jitter=jitter)):
        assert letter is not None
        assert letter.headers[DELAY_HEADER] in TIERS


def test_each_kind_of_failure_may_have_a_backoff_of_its_own() -> None:
    terms = Terms(base=1.0, cap=3600.0, kinds={"connection": Span(100.0, 1000.0), "unknown": Span(16.0, 16.0)})
    outcomes: list[tuple[Outcome, int]] = [
        (Retry("451"), 1),
        (Retry("lost", kind="connection"), 128),
        (Retry("raised", kind="failed"), 1),
        (Unknown("lost"), 16),
    ]
    for outcome, delay in outcomes:
        letter = after(outcome, terms=terms)
        assert letter is not None
        assert letter.headers[DELAY_HEADER] == delay


@given(wait=st.floats(-10, 10_000))
def test_who_has_an_appointment_comes_before_it_and_keeps_it(wait: float) -> None:
    letter = appointed(JOB, BODY, 3, 5000.0 + wait, 5000.0)
    assert letter.headers[ATTEMPT_HEADER] == 3
    assert letter.headers[DUE_HEADER] == int((5000.0 + wait) * 1000)
    assert 1 <= int(letter.headers[DELAY_HEADER]) <= max(wait, 1)


def test_an_appointment_does_not_forget_how_often_the_job_was_lost() -> None:
    assert appointed(JOB, BODY, 1, 60.0, 0.0, lost=2).headers[LOST_HEADER] == 2
    assert LOST_HEADER not in appointed(JOB, BODY, 1, 60.0, 0.0).headers

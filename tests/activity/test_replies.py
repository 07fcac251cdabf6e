"""What a mail server's reply means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity.outcomes import Dead, Retry, Sent
from activity.replies import enhanced, is_crowded, judge, shown


@pytest.mark.parametrize(
    ("code", "text", "outcome"),
    [
        (250, "2.0.0 OK\nqueued as 1", Sent("250 2.0.0 OK queued as 1")),
        (451, "4.3.0 later", Retry("451 4.3.0 later")),
        (450, "4.2.2 mailbox full", Retry("450 4.2.2 mailbox full")),
        (550, "5.1.1 no such user", Dead("refused", "550 5.1.1 no such user")),
        (554, "no", Dead("refused", "554 no")),
        (550, "5.7.1 too many connections", Dead("refused", "550 5.7.1 too many connections")),
        (421, "", Retry("421 ", burn=False, slow=True, kind="busy")),
        (421, "4.7.0 wait 10 minutes", Retry("421 4.7.0 wait 10 minutes", 600.0, burn=False, slow=True, kind="busy")),
        (452, "4.3.1 disk full", Retry("452 4.3.1 disk full", burn=False, slow=True, kind="busy")),
        (451, "4.3.2 not now", Retry("451 4.3.2 not now", burn=False, slow=True, kind="busy")),
        (451, "4.4.5 congested", Retry("451 4.4.5 congested", burn=False, slow=True, kind="busy")),
        (451, "4.3.20 other", Retry("451 4.3.20 other")),
        (
            450,
            "4.7.0 Too many SMTP connections",
            Retry("450 4.7.0 Too many SMTP connections", burn=False, slow=True, kind="busy"),
        ),
        (530, "5.7.0 log in first", Retry("530 5.7.0 log in first", burn=False)),
        (450, "4.2.0 Greylisted", Retry("450 4.2.0 Greylisted", 300.0)),
        (450, "4.2.0 gray-listed, come back after 90 seconds", Retry("450 4.2.0 gray-listed, come back after 90 seconds", 90.0)),
        (450, "wait 2 min", Retry("450 wait 2 min", 120.0)),
        (450, "wait 999999 m", Retry("450 wait 999999 m", 3600.0)),
        (354, "go on", Retry("354 go on")),
        (-1, "what?", Retry("-1 what?")),
        (600, "what?", Retry("600 what?")),
    ],
)
def test_replies(code: int, text: str, outcome: object) -> None:
    assert judge(code, text) == outcome


@pytest.mark.parametrize(
    ("code", "text", "crowded"),
    [
        (421, "closing", True),
        (450, "Too many sessions from 192.0.2.1", True),
        (451, "connection limit exceeded", True),
        (550, "too many connections", False),
        (452, "4.5.3 too many recipients", False),
        (451, "later", False),
    ],
)
def test_what_says_that_fewer_should_speak(code: int, text: str, crowded: bool) -> None:
    assert is_crowded(code, text) == crowded


def test_an_enhanced_code_is_one_of_the_replys_own_class() -> None:
    assert enhanced(451, "4.3.2 x") == "4.3.2"
    assert enhanced(451, "4.3.2") == "4.3.2"
    assert enhanced(250, "4.3.2 x") is None
    assert enhanced(451, "see 4.3.2") is None
    assert enhanced(451, "4.3.2.1 is an address") is None


@given(st.integers(-1, 999), st.text())
def test_any_reply_has_a_meaning_in_one_short_line(code: int, text: str) -> None:
    outcome = judge(code, text)
    assert isinstance(outcome, Dead) == (500 <= code < 600 and code not in (530, 534, 535, 538))
    assert isinstance(outcome, Sent) == (200 <= code < 300)
    assert len(shown(code, text)) <= 310
    assert "\n" not in shown(code, text)
    if isinstance(outcome, Retry):
        assert outcome.after is None or 0 <= outcome.after <= 3600

"""What who has no token sees of an address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.masking import mask_address, mask_problem, mask_text


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("ann@shop.example", "a***@shop.example"),
        ("", "***"),
        ("ann", "***"),
        ("@x", "***@x"),
        ('"a@b"@c.example', '"***@c.example'),
    ],
)
def test_an_address_keeps_its_first_letter_and_its_domain(address: str, shown: str) -> None:
    assert mask_address(address) == shown


def test_words_of_a_mail_server() -> None:
    said = "550 5.1.1 <ann.b@shop.example>: Recipient (bob@x.example) rejected: no such user here"
    assert mask_text(said) == "550 5.1.1 <a***@shop.example>: Recipient (b***@x.example) rejected: no such user here"


@given(st.text("abcdefghij.+-_", min_size=2, max_size=30), st.text(max_size=20), st.text(max_size=20))
def test_no_local_part_is_left_wherever_it_stands(local: str, before: str, after: str) -> None:
    secret = f"zz{local}"
    assert f"{secret}@" not in mask_text(f"{before} <{secret}@shop.example> {after}")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ('no such user "ann.smith"@shop.example', 'no such user "***"@shop.example'),
        ('"ann b. smith"@x.example and "q"', '"***"@x.example and "q"'),
        (r'"a\"nn\"b"@x.example', '"***"@x.example'),
        ('b"@x.example', '***"@x.example'),
        ("relay to <o'brien@shop.example> denied", "relay to <o***@shop.example> denied"),
        ("user 'ann@x.example' is gone", "user 'a***@x.example' is gone"),
        ("bounce=ann@shop.example, ann&bob@x", "b***@shop.example, a***@x"),
        ("ann@bob@x.example", "a***@b***@x.example"),
        ("at @home, @", "at @home, @"),
    ],
)
def test_unusual_addresses(said: str, shown: str) -> None:
    assert mask_text(said) == shown


@pytest.mark.parametrize("part", ["x", "a'", '"', '\\"', "a b", "@", '"@'])
def test_whatever_it_is_told_takes_no_time(part: str) -> None:
    """A producer names its headers at will, and anybody makes a worker mask them: a quadratic one would take minutes."""
    mask_text(part * 50_000)


def test_why_a_rule_made_no_job_may_quote_data() -> None:
    assert "4111" not in mask_problem("rule", "rule w: card 4111 is no time")
    assert mask_problem("not-json", "ann@x.example") == "a***@x.example"

"""What who has no token sees of an address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.masking import mask_address, mask_text


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

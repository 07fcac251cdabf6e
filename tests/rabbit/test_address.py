"""Addresses: what mail can be sent to, and that nothing else gets near a command."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from activity.domains import domain_of
from activity.outcomes import Dead
from rabbit.address import LONGEST, Address, address

anything = st.text(st.characters(exclude_categories=[]), max_size=100)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ann@example.com", Address("ann@example.com")),
        (" ann@example.com ", Address("ann@example.com")),
        ("Ann <ann@example.com>", Address("ann@example.com", "Ann")),
        ('"Ann, B." <ann+x@sub.example.com>', Address("ann+x@sub.example.com", "Ann, B.")),
        ("ann@localhost", Address("ann@localhost")),
        ("ann@bücher.example", Address("ann@xn--bcher-kva.example")),
        ("ann@BÜCHER.example", Address("ann@xn--bcher-kva.example")),
        ("ann@faß.example", Address("ann@xn--fa-hia.example")),  # not fass.example, which is another's
        ("ann@例え.テスト", Address("ann@xn--r8jz45g.xn--zckzah")),
        ("ü@example.com", Address("ü@example.com")),
        ("u\u0308@bücher.example", Address("ü@xn--bcher-kva.example")),
        ("Дмитрий <дмитрий@пример.example>", Address("дмитрий@xn--e1afmkfd.example", "Дмитрий")),
        (r'"Ann \"B\"  C" <ann@example.com>', Address("ann@example.com", 'Ann "B" C')),
        ('" <ann@example.com>', Address("ann@example.com", '"')),
        (' "Ann"\u3000<ann@example.com> ', Address("ann@example.com", "Ann")),
    ],
)
def test_addresses(text: str, found: Address) -> None:
    assert address(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "ann@",
        "@example.com",
        "a@b@c",
        "a b@c",
        "a@b c",
        "a@-b.c",
        "a@b..c",
        "a..b@c",
        ".a@b",
        "a@b\r\nRCPT TO:<x@y>",
        "ann@example.com\n",
        "a\x00@b",
        "Ann\r\nBcc: x@y <ann@example.com>",
        "<a@b> <c@d>",
        "a@b,c@d",
        "ü" * 33 + "@example.com",
        "ü\u3000x@example.com",
        "ü\u202ex@example.com",
        "ü\u200bx@example.com",
        "\ud800@example.com",
        "ann@\ud800.example",
        "ann@bü cher.example",
        "ann@ü\u202e.example",
        "a" * 65 + "@b",
        "a@" + "b" * 64,
        "a@" + "b." * 127 + "b",
        "a@[127.0.0.1]",
        "a@b\u2028c",
    ],
)
def test_what_can_not_be_sent_to_is_dead_and_not_named(text: str) -> None:
    found = address(text)
    assert isinstance(found, Dead)
    assert found.reason == "bad-address"
    assert not text.strip() or text.strip() not in found.reply or len(text.strip()) < 4


@given(anything)
def test_whatever_the_address_no_command_can_be_added(text: str) -> None:
    found = address(text)
    if isinstance(found, Address):
        assert found.domain.isascii()
        assert found.mailbox.isprintable()
        assert not set(found.mailbox) & set(' <>\r\n,;:"()[]\\')


@pytest.mark.parametrize("text", ["a@b, c@d", "a@b,c@d", "a@b; c@d", "Ann <a@b>, Bob <c@d>"])
def test_who_names_several_recipients_is_told_that_a_job_has_one(text: str) -> None:
    found = address(text)
    assert isinstance(found, Dead)
    assert "a job has one recipient" in found.reply


def test_an_at_too_many_is_no_second_recipient() -> None:
    found = address("dan@nowhere@")
    assert isinstance(found, Dead)
    assert "before the @" in found.reply


@pytest.mark.timeout(20)
@given(st.text(st.sampled_from(' <>@."\\a\u0301ü'), min_size=1, max_size=4), st.text(st.sampled_from("x>@<"), max_size=1))
@example(" ", "x")
@example("\u0301", "@b")
@example('"', "<a@b")
@settings(deadline=None, max_examples=50)
def test_an_address_as_long_as_an_event_holds_nobody_up(part: str, end: str) -> None:
    """What a pattern may try in vain grows with a power of the length: these took minutes each."""
    text = part * (256 * 1024 // len(part)) + end
    assert isinstance(address(text), Dead)
    assert isinstance(address(text[: LONGEST - 1] + end), Dead | Address)
    assert len(domain_of(text)) <= 253


@given(st.text("aäßÄ\u03c3ς.-xİ。", min_size=1, max_size=20))
def test_a_domain_has_one_name_for_its_limit_and_for_the_mail_server(domain: str) -> None:
    found = address(f"ann@{domain}")
    if isinstance(found, Address):
        assert domain_of(f"Ann <ann@{domain}>") == found.domain.lower()

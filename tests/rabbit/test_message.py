"""The bytes of a mail, read back by the standard library's parser."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity.outcomes import Dead
from rabbit.message import Address, address, compose
from rabbit.templates import Rendered

SENDER = Address("mail@shop.example", "Shop")
ANN = Address("ann@example.com")
HEADERS = {
    "Date",
    "From",
    "To",
    "Subject",
    "Message-ID",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
}
anything = st.text(st.characters(exclude_categories=[]), max_size=300)


def parsed(mail: Rendered, sender: Address = SENDER, recipient: Address = ANN) -> EmailMessage:
    raw = compose("job-1", sender, recipient, mail, 1_700_000_000.0)
    assert isinstance(raw, bytes)
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert b"\n" not in raw.replace(b"\r\n", b"")
    return message_from_bytes(raw, policy=default)


def test_a_plain_mail() -> None:
    mail = parsed(Rendered("Hello", "one\ntwo"))
    assert mail["Message-ID"] == "<job-1@shop.example>"
    assert mail["Date"] == "Tue, 14 Nov 2023 22:13:20 -0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["From"] == "Shop <mail@shop.example>"
    assert mail["To"] == "ann@example.com"
    assert mail["List-Unsubscribe"] is None
    assert mail.get_content().replace("\r\n", "\n") == "one\ntwo\n"
    assert not mail.defects


def test_text_and_html_are_alternatives() -> None:
    mail = parsed(Rendered("Zwölf Rosen 🌹", "Grüße\n", "<p>Grüße</p>\n"))
    assert mail["Subject"] == "Zwölf Rosen 🌹"
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert [part.get_content().replace("\r\n", "\n") for part in mail.iter_parts()] == ["Grüße\n", "<p>Grüße</p>\n"]


@pytest.mark.parametrize("evil", ["x\r\nBcc: eve@evil.example", "x\nBcc: eve@evil.example", "x\rBcc: e@e", "x\n\nbody", "x\x00y"])
def test_no_line_break_in_subject_or_names_adds_a_header(evil: str) -> None:
    mail = parsed(Rendered(evil, "text"), Address("mail@shop.example", evil), Address("ann@example.com", evil))
    assert set(mail.keys()) == HEADERS
    assert mail.get_content().strip() == "text"


@given(subject=anything, name=anything, text=anything, html=anything | st.none())
def test_whatever_the_texts_the_headers_are_ours_and_the_texts_arrive(
    subject: str, name: str, text: str, html: str | None
) -> None:
    mail = parsed(Rendered(subject, text, html), SENDER, Address("ann@example.com", name))
    assert set(mail.keys()) - {"Content-Transfer-Encoding"} == HEADERS - {"Content-Transfer-Encoding"}
    assert mail["To"].addresses[0].addr_spec == "ann@example.com"
    body = mail.get_body(("plain",))
    assert body is not None
    wanted = text.encode("utf-8", "replace").decode()
    assert "".join(body.get_content().split()) == "".join(wanted.split())


@pytest.mark.parametrize("subject", ["x" * 2000, "ü" * 2000, "🌹" * 700, "word " * 300])
def test_a_long_subject_is_folded_and_comes_back(subject: str) -> None:
    raw = compose("job-1", SENDER, ANN, Rendered(subject, "text"), 0.0)
    assert isinstance(raw, bytes)
    head = raw.partition(b"Message-ID")[0]
    assert max(len(line) for line in head.split(b"\r\n")) <= 78
    assert message_from_bytes(raw, policy=default)["Subject"] == subject


def test_a_text_that_imitates_the_boundary_stays_a_text() -> None:
    mail = parsed(Rendered("x", "--=_job-1--\nmore\n", "<p>--=_job-1--</p>\n"))
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize("bad", ["a\r\nb", "", "a b", "a>b", "x" * 101])
def test_a_job_id_that_can_not_stand_in_a_header_is_dead(bad: str) -> None:
    assert isinstance(compose(bad, SENDER, ANN, Rendered("s", "t"), 0.0), Dead)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ann@example.com", Address("ann@example.com")),
        (" ann@example.com ", Address("ann@example.com")),
        ("Ann <ann@example.com>", Address("ann@example.com", "Ann")),
        ('"Ann, B." <ann+x@sub.example.com>', Address("ann+x@sub.example.com", "Ann, B.")),
        ("ann@localhost", Address("ann@localhost")),
        ("ann@bücher.example", Address("ann@xn--bcher-kva.example")),
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
        "ü@example.com",
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
        assert found.mailbox.isascii()
        assert found.mailbox.isprintable()
        assert not set(found.mailbox) & set(' <>\r\n,;:"()[]\\')

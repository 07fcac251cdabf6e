"""The bytes of a mail, read back by the standard library's parser."""

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity.outcomes import Dead
from rabbit.address import Address
from rabbit.message import Skeleton
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
    raw = made(mail, sender, recipient)
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert raw.isascii()
    assert not set(raw.replace(b"\r\n", b"")) & set(b"\x00\r\n")
    parsed = message_from_bytes(raw, policy=default)
    assert not parsed.defects
    return parsed


def made(mail: Rendered, sender: Address = SENDER, recipient: Address = ANN, unsubscribe: str | None = None) -> bytes:
    raw = Skeleton(sender).fill("job-1", recipient, mail, 1_700_000_000.0, unsubscribe)
    assert isinstance(raw, bytes)
    return raw


def texts(mail: EmailMessage) -> list[str]:
    """What its parts say, their lines ended by a newline as in a template."""
    parts = list(mail.iter_parts()) if mail.is_multipart() else [mail]
    return [part.get_content().replace("\r\n", "\n") for part in parts]


def written(text: str) -> str:
    """What a text can arrive as: its lines ended, what is no character replaced."""
    lines = re.sub(r"\r\n?", "\n", text.encode("utf-8", "replace").decode())
    return lines if lines.endswith("\n") else lines + "\n"


def line(text: str) -> str:
    """What a header's text can arrive as: control characters are spaces."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text).encode("utf-8", "replace").decode()


def test_a_plain_mail() -> None:
    mail = parsed(Rendered("Hello", "one\ntwo"))
    assert mail["Message-ID"] == "<job-1@shop.example>"
    assert mail["Date"] == "Tue, 14 Nov 2023 22:13:20 -0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["From"] == "Shop <mail@shop.example>"
    assert mail["To"] == "ann@example.com"
    assert mail["List-Unsubscribe"] is None
    assert texts(mail) == ["one\ntwo\n"]


def test_a_bulk_mail_is_unsubscribed_from_with_one_click() -> None:
    url = "https://shop.example/u?" + "x" * 870
    mail = message_from_bytes(made(Rendered("Hello", "text"), unsubscribe=url), policy=default)
    assert mail["List-Unsubscribe"] == f"<{url}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert set(mail.keys()) == HEADERS | {"List-Unsubscribe", "List-Unsubscribe-Post"}


@pytest.mark.parametrize("url", ["http://shop.example", "https://a/>\r\nBcc: <e@e", "https://a/ b", "", "https://" + "x" * 900])
def test_what_is_no_link_makes_no_mail(url: str) -> None:
    outcome = Skeleton(SENDER).fill("job-1", ANN, Rendered("s", "t"), 0.0, url)
    assert isinstance(outcome, Dead)
    assert outcome.reason == "bad-job"


def test_a_mailbox_beyond_ascii_stands_in_utf8() -> None:
    raw = made(Rendered("Hello", "text"), recipient=Address("дмитрий@xn--e1afmkfd.example", "Дмитрий"))
    assert "<дмитрий@xn--e1afmkfd.example>".encode() in raw
    (found,) = message_from_bytes(raw, policy=default)["To"].addresses
    assert found.display_name == "Дмитрий"
    assert found.addr_spec.encode(errors="surrogateescape").decode() == "дмитрий@xn--e1afmkfd.example"


def test_text_and_html_are_alternatives() -> None:
    mail = parsed(Rendered("Zwölf Rosen 🌹", "Grüße\n", "<p>Grüße</p>\n"))
    assert mail["Subject"] == "Zwölf Rosen 🌹"
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert texts(mail) == ["Grüße\n", "<p>Grüße</p>\n"]


@pytest.mark.parametrize("evil", ["x\r\nBcc: eve@evil.example", "x\nBcc: eve@evil.example", "x\rBcc: e@e", "x\n\nbody", "x\x00y"])
def test_no_line_break_in_subject_or_names_adds_a_header(evil: str) -> None:
    mail = parsed(Rendered(evil, "text"), Address("mail@shop.example", evil), Address("ann@example.com", evil))
    assert set(mail.keys()) == HEADERS
    assert mail.get_content().strip() == "text"


tricks = st.sampled_from(
    ["\r\n", "\r", "\n\n", ".", "=", "=\n", "=?utf-8?q?x?=", "--=_chopar--", "--=_chopar\n", "\t\n", " \n", "x" * 1000, "ü" * 90]
)
scripts = st.sampled_from(
    ["Grüße", "Привет мир", "こんにちは", "مرحبا", "שלום", "ไทย", "👩‍👩‍👧", "\u202e", "\ud83d", "\x00", "\x0b", "\x1c", "\x85"]
)
wild = anything | st.lists(tricks | scripts | st.text(max_size=5), max_size=30).map("".join)


@given(subject=wild, text=wild, html=wild | st.none())
def test_whatever_is_put_in_is_read_back(subject: str, text: str, html: str | None) -> None:
    mail = parsed(Rendered(subject, text, html))
    assert set(mail.keys()) - {"Content-Transfer-Encoding"} == HEADERS - {"Content-Transfer-Encoding"}
    assert mail["Subject"] == line(subject)
    assert texts(mail) == [written(part) for part in (text, html) if part is not None]


@given(name=wild, number=st.integers(1, 45))
def test_whatever_the_name_it_is_read_back_before_its_mailbox(name: str, number: int) -> None:
    """As one encoded word, that is; between two of them Python's parser leaves a space that others, rightly, take out."""
    short = " ".join(line(name).encode()[:number].decode("utf-8", "ignore").split())
    (found,) = parsed(Rendered("s", "t"), SENDER, Address("ann@example.com", short))["To"].addresses
    assert (found.display_name, found.addr_spec) == (short, "ann@example.com")
    (found,) = parsed(Rendered("s", "t"), SENDER, Address("ann@example.com", " ".join(line(name).split())))["To"].addresses
    assert found.addr_spec == "ann@example.com"
    assert "".join(found.display_name.split()) == "".join(line(name).split())


@given(subject=wild, text=wild, html=wild)
def test_an_email_message_of_the_same_values_reads_the_same(subject: str, text: str, html: str) -> None:
    # EmailMessage takes what looks like an encoded word for one, loses some spaces of a subject, and can't write half a pair.
    subject = line(subject).replace("=?", "")
    other = EmailMessage(policy=SMTP)
    other["Subject"] = subject
    other["From"] = "Shop <mail@shop.example>"
    other["To"] = "ann@example.com"
    other.set_content(text.encode("utf-8", "replace").decode())
    other.add_alternative(html.encode("utf-8", "replace").decode(), subtype="html")
    theirs, ours = message_from_bytes(other.as_bytes(), policy=default), parsed(Rendered(subject, text, html))
    assert "".join(ours["Subject"].split()) == "".join(theirs["Subject"].split())
    assert (ours["From"], ours["To"]) == (theirs["From"], theirs["To"])
    assert texts(ours) == texts(theirs)
    assert [part.get_content_type() for part in ours.walk()] == [part.get_content_type() for part in theirs.walk()]


@pytest.mark.parametrize(
    "subject",
    ["x" * 2000, "ü" * 2000, "🌹" * 700, "=?utf-8?q?x?=", " x", "", "word " * 299 + "end", "two  spaces " + "x " * 60 + "x"],
)
def test_a_subject_is_folded_and_comes_back(subject: str) -> None:
    assert parsed(Rendered(subject, "text"))["Subject"] == subject


def test_a_long_subject_of_plain_words_stays_readable() -> None:
    assert b"\r\nSubject: word word word" in made(Rendered("word " * 40 + "end", "text"))


def test_much_beyond_ascii_is_base64_and_little_is_quoted() -> None:
    for text, encoding in (("Привет", "base64"), ("Viele Grüße aus der Mühle in Altenau", "quoted-printable")):
        assert parsed(Rendered("s", text))["Content-Transfer-Encoding"] == encoding


def test_a_text_that_imitates_the_boundary_stays_a_text() -> None:
    mail = parsed(Rendered("x", "--=_chopar--\nmore\n", "<p>--=_chopar--</p>\n"))
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize("bad", ["a\r\nb", "", "a b", "a>b", "x" * 101])
def test_a_job_id_that_can_not_stand_in_a_header_is_dead(bad: str) -> None:
    assert isinstance(Skeleton(SENDER).fill(bad, ANN, Rendered("s", "t"), 0.0), Dead)

"""CHOPAR_SMTP_URL: what it may say, and that a password goes in clear only where it says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity.smtp_url import MailServer, parse_smtp_url


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("smtp://mail.example", MailServer("mail.example", 25)),
        ("smtp://mail.example:587/", MailServer("mail.example", 587)),
        ("smtps://mail.example", MailServer("mail.example", 465, True)),
        ("smtps://u:p@mail.example:2465", MailServer("mail.example", 2465, True, "offered", "u", "p")),
        ("smtp://u%40x:p%2F%3A@mail.example", MailServer("mail.example", 25, False, "required", "u@x", "p/:")),
        ("smtp://u@mail.example", MailServer("mail.example", 25, False, "required", "u", "")),
        ("smtp://u:p@mail.example?starttls=required", MailServer("mail.example", 25, False, "required", "u", "p")),
        ("smtp://u:p@mail.example?starttls=never", MailServer("mail.example", 25, False, "never", "u", "p")),
        ("smtp://mail.example?starttls=offered", MailServer("mail.example", 25)),
        ("smtp://mail.example?starttls=required", MailServer("mail.example", 25, False, "required")),
        ("smtp://u:p@127.0.0.1", MailServer("127.0.0.1", 25, False, "offered", "u", "p")),
        ("smtp://u:p@[::1]:26?starttls=offered", MailServer("::1", 26, False, "offered", "u", "p")),
        ("smtp://u:p@localhost", MailServer("localhost", 25, False, "offered", "u", "p")),
        ("smtp://u:p@127.evil.example", MailServer("127.evil.example", 25, False, "required", "u", "p")),
        ("smtp://u:p@0.0.0.0", MailServer("0.0.0.0", 25, False, "required", "u", "p")),  # noqa: S104
    ],
)
def test_what_it_says(text: str, found: MailServer) -> None:
    assert parse_smtp_url(text) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail.example:25", "expected a URL like smtp://user:password@host:port or smtps://host"),
        ("smtp://", "expected a URL like"),
        ("smtp://mail.example:0", "expected a URL like"),
        ("smtp://mail.example:99999", "expected a URL like"),
        ("smtp://mail.example/inbox", "expected a URL like"),
        ("smtp://mail.example#x", "expected a URL like"),
        ("smtp://u:hunter#2@mail.example", "expected a URL like"),
        ("smtp://mail.example?starttls", "expected a URL like"),
        ("http://mail.example", "expected a URL like"),
        ("smtp://mail.example?tls=1", "expected no other parameter than starttls, not 'tls'"),
        ("smtp://mail.example?starttls=yes", "expected starttls to be one of offered, required, never"),
        ("smtp://mail.example?starttls=", "expected starttls to be one of offered, required, never"),
        ("smtps://mail.example?starttls=required", "expected no starttls with smtps://"),
        ("smtp://u:hunter2@mail.example?starttls=offered", "expected starttls=required where a password goes to another machine"),
    ],
)
def test_what_it_may_not_say(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match="^" + expected.replace("?", r"\?")) as caught:
        parse_smtp_url(text)
    assert "hunter" not in str(caught.value)


def test_a_password_is_not_shown() -> None:
    assert "hunter2" not in repr(parse_smtp_url("smtp://u:hunter2@mail.example"))


@given(st.sampled_from(["smtp", "smtps"]), st.sampled_from(["mail.example", "10.0.0.1", "[2001:db8::1]"]), st.text(max_size=30))
def test_a_password_for_another_machine_is_encrypted_unless_never_is_said(scheme: str, host: str, query: str) -> None:
    for said in (query, f"starttls={query}", "starttls=offered", "starttls=required", ""):
        try:
            server = parse_smtp_url(f"{scheme}://u:p@{host}?{said}")
        except ValueError:
            continue
        assert server.tls or server.starttls == "required" or "starttls=never" in said

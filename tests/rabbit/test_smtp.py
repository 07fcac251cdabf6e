"""The conversation with a mail server, on a real one: when is it safe to repeat, and when does nobody know?"""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiosmtpd.smtp import AuthResult

from activity.outcomes import Dead, Retry, Sent, Unknown
from rabbit.smtp import Away, Envelope, Mailer, stuffed
from tests.rabbit.inbox import Inbox

MAIL = Envelope(
    "shop@shop.example", "ann@example.com", b"Subject: x\r\nMessage-ID: <1@shop.example>\r\n\r\nhello\r\n.\r\n..dots\r\n"
)


async def granted() -> bool:
    return True


async def refused() -> bool:
    return False


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    async with Inbox() as inbox:
        yield inbox


@pytest.fixture
async def mailer(inbox: Inbox) -> AsyncIterator[Mailer]:
    mailer = Mailer(inbox.url, 30)
    yield mailer
    await mailer.close()


async def test_a_mail_arrives_as_it_was_and_the_connection_is_kept(inbox: Inbox, mailer: Mailer) -> None:
    for _ in range(3):
        assert await mailer.deliver(MAIL, granted) == Sent("250 2.0.0 OK queued")
    assert [mail.get_content() for mail in inbox.mails] == ["hello\r\n.\r\n..dots\r\n"] * 3
    assert inbox.connections == 1


async def test_permission_is_asked_when_all_but_the_end_is_said(inbox: Inbox, mailer: Mailer) -> None:
    async def looks() -> bool:
        assert inbox.mails == []
        assert not inbox.reached.is_set()
        return True

    assert isinstance(await mailer.deliver(MAIL, looks), Sent)
    assert len(inbox.mails) == 1


async def test_without_permission_the_server_accepts_nothing(inbox: Inbox, mailer: Mailer) -> None:
    await mailer.deliver(MAIL, refused)
    assert isinstance(await mailer.deliver(MAIL, granted), Sent)
    assert len(inbox.mails) == 1
    assert inbox.connections == 2


async def test_cancelled_while_it_waits_for_permission_nothing_is_sent(inbox: Inbox, mailer: Mailer) -> None:
    asked = asyncio.Event()

    async def never() -> bool:
        asked.set()
        await asyncio.Event().wait()
        return True

    delivery = asyncio.create_task(mailer.deliver(MAIL, never))
    await asked.wait()
    delivery.cancel()
    with pytest.raises(asyncio.CancelledError):
        await delivery
    assert isinstance(await mailer.deliver(MAIL, granted), Sent)
    assert len(inbox.mails) == 1


@pytest.mark.parametrize("when", ["RCPT", "DATA"])
async def test_4xx_is_for_now_and_5xx_for_good(inbox: Inbox, mailer: Mailer, when: str) -> None:
    inbox.when = when
    inbox.replies[MAIL.recipient] = ["451 4.3.0 later", "550 5.1.1 no such user"]
    assert await mailer.deliver(MAIL, granted) == Retry("451 4.3.0 later")
    assert await mailer.deliver(MAIL, granted) == Dead("refused", "550 5.1.1 no such user")
    assert isinstance(await mailer.deliver(MAIL, granted), Sent)
    assert inbox.connections == 1, "a refusal ends the message, not the connection"


@pytest.mark.parametrize("reply", ["drop", "drop-after"])
async def test_lost_after_the_end_nobody_knows(inbox: Inbox, mailer: Mailer, reply: str) -> None:
    inbox.replies[MAIL.recipient] = [reply]
    assert isinstance(await mailer.deliver(MAIL, granted), Unknown)
    assert len(inbox.mails) == (reply == "drop-after")


async def test_no_answer_after_the_end_nobody_knows(inbox: Inbox) -> None:
    inbox.hold = asyncio.Event()
    outcome = await Mailer(inbox.url, 1).deliver(MAIL, granted)
    inbox.hold.set()
    assert isinstance(outcome, Unknown)


async def test_lost_before_the_end_is_a_retry_that_counts(inbox: Inbox, mailer: Mailer) -> None:
    inbox.when = "RCPT"
    inbox.replies[MAIL.recipient] = ["drop"]
    outcome = await mailer.deliver(MAIL, granted)
    assert isinstance(outcome, Retry)
    assert outcome.burn


async def test_lost_while_it_waits_for_permission_is_a_retry(inbox: Inbox, mailer: Mailer) -> None:
    async def cut() -> bool:
        inbox.cut_all()
        await asyncio.sleep(0.2)
        return True

    assert isinstance(await mailer.deliver(MAIL, cut), Retry)
    assert inbox.mails == []


async def test_a_kept_connection_that_the_server_has_cut_is_replaced(inbox: Inbox, mailer: Mailer) -> None:
    await mailer.deliver(MAIL, granted)
    await inbox.stop()
    await inbox.start()
    assert isinstance(await mailer.deliver(MAIL, granted), Sent)


async def test_a_server_that_is_away_burns_no_attempt(inbox: Inbox, mailer: Mailer) -> None:
    await inbox.stop()
    outcome = await mailer.deliver(MAIL, granted)
    assert isinstance(outcome, Retry)
    assert not outcome.burn
    assert not await mailer.answers()
    await inbox.start()
    assert await mailer.answers()


def certificate(folder: Path) -> tuple[Path, Path]:
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(cert), "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return key, cert


async def test_tls_is_used_when_offered_and_the_url_logs_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, cert = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    seen: list[tuple[bytes, bool]] = []

    def authenticator(server: object, session: object, envelope: object, mechanism: str, data: object) -> AuthResult:
        password = bytes(getattr(data, "password", b""))
        seen.append((password, getattr(session, "ssl", None) is not None))
        return AuthResult(success=password == b"p@ss:word", handled=False)

    options = {"tls_context": context, "authenticator": authenticator, "auth_required": True, "require_starttls": True}
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    async with Inbox(**options) as inbox:
        mailer = Mailer(inbox.url.replace("//", "//shop:p%40ss%3Aword@"), 30)
        assert isinstance(await mailer.deliver(MAIL, granted), Sent)
        await mailer.close()
        assert seen
        assert set(seen) == {(b"p@ss:word", True)}
        with pytest.raises(Away, match="user name or password refused") as caught:
            await Mailer(inbox.url.replace("//", "//shop:wrong@"), 30).check()
        assert caught.value.credentials
        assert "wrong" not in str(caught.value)


async def test_a_certificate_that_is_not_trusted_is_not_spoken_to(tmp_path: Path) -> None:
    key, cert = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    async with Inbox(tls_context=context) as inbox:
        with pytest.raises(Away, match="certificate"):
            await Mailer(inbox.url, 30).check()


def test_no_line_of_the_content_can_end_the_message() -> None:
    assert stuffed(b".\r\na\r\n.") == b"..\r\na\r\n..\r\n"
    assert b"\r\n.\r\n" not in b"\r\n" + stuffed(b"x\r\n.\r\n.\r\n..\r\n.")

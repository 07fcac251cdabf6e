"""Encrypted conversations and passwords, on a server whose certificate a CA of its own has signed."""

import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiosmtpd.smtp import AuthResult

from activity.outcomes import Retry, Sent
from rabbit.conversation import Envelope
from rabbit.smtp import Away, Mailer
from tests.rabbit.inbox import Inbox

MAIL = Envelope("shop@shop.example", "ann@example.com", b"Subject: x\r\nMessage-ID: <1@shop.example>\r\n\r\nhello\r\n")
PASSWORD = "p@ss:word/"
LOGIN = "//shop:p%40ss%3Aword%2F@"


async def granted() -> bool:
    return True


class Authority:
    """A CA and what it has signed for a server that is known by `name`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.file = folder / "ca.pem"
        self._sign(["-x509", "-keyout", f"{folder}/ca.key", "-out", f"{self.file}", "-subj", "/CN=Test CA"])
        signed = ["-CA", f"{self.file}", "-CAkey", f"{folder}/ca.key", "-addext", f"subjectAltName={name}"]
        signed += ["-addext", "basicConstraints=critical,CA:false"]
        self._sign(["-x509", "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem", "-subj", "/CN=mail", *signed])
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.server.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    def _sign(self, arguments: Sequence[str]) -> None:
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        command = ["openssl", "req", *key, *arguments]
        subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "IP:127.0.0.1")


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """As a person makes it known: OpenSSL's own variable."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority


class Guarded(Inbox):
    """Asks for a password, and remembers which it was told, and over what."""

    def __init__(self, *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls, tls_context=starttls, authenticator=self._authenticate, auth_require_tls=False)
        self.told: list[tuple[str, bool]] = []

    def _authenticate(self, server: object, session: object, envelope: object, mechanism: str, data: object) -> AuthResult:
        password = bytes(getattr(data, "password", b"")).decode()
        self.told.append((password, any(p.transport.get_extra_info("sslcontext") is not None for p in self._open if p.transport)))
        return AuthResult(success=password == PASSWORD, handled=False)


@asynccontextmanager
async def mailer(url: str) -> AsyncIterator[Mailer]:
    found = Mailer(url, 30)
    try:
        yield found
    finally:
        await found.close()


@pytest.mark.parametrize("parameter", ["", "?starttls=required"])
async def test_by_starttls_the_password_and_the_mail_go_encrypted(trusted: Authority, parameter: str) -> None:
    async with Guarded(starttls=trusted.server) as inbox, mailer(inbox.url.replace("//", LOGIN) + parameter) as sender:
        assert isinstance(await sender.deliver(MAIL, granted), Sent)
    assert inbox.told == [(PASSWORD, True)]
    assert len(inbox.mails) == 1


async def test_by_smtps_too(trusted: Authority) -> None:
    async with Guarded(tls=trusted.server) as inbox, mailer(inbox.url.replace("//", LOGIN)) as sender:
        assert isinstance(await sender.deliver(MAIL, granted), Sent)
    assert inbox.told == [(PASSWORD, True)]


async def test_a_wrong_password_is_told_without_it(trusted: Authority) -> None:
    async with Guarded(starttls=trusted.server) as inbox, mailer(inbox.url.replace("//", "//shop:wrong@")) as sender:
        with pytest.raises(Away, match="user name or password refused, 535") as caught:
            await sender.check()
    assert caught.value.credentials
    assert "wrong" not in str(caught.value)


async def test_where_starttls_is_required_and_not_offered_nothing_is_said() -> None:
    """To 0.0.0.0, which is this machine and does not look like it."""
    for url in ("smtp://0.0.0.0:{}?starttls=required", "smtp:" + LOGIN + "0.0.0.0:{}"):
        async with Guarded() as inbox, mailer(url.format(inbox.port)) as sender:
            outcome = await sender.deliver(MAIL, granted)
            with pytest.raises(Away, match=r"no STARTTLS.*smtps://.*starttls=never"):
                await sender.check()
        assert isinstance(outcome, Retry)
        assert not outcome.burn
        assert (inbox.told, inbox.mails) == ([], [])


async def test_in_clear_only_on_this_machine_or_by_the_urls_own_word() -> None:
    for url in ("smtp:" + LOGIN + "127.0.0.1:{}", "smtp:" + LOGIN + "0.0.0.0:{}?starttls=never"):
        async with Guarded() as inbox, mailer(url.format(inbox.port)) as sender:
            assert isinstance(await sender.deliver(MAIL, granted), Sent)
        assert inbox.told == [(PASSWORD, False)]


async def test_never_means_never(trusted: Authority) -> None:
    async with Guarded(starttls=trusted.server) as inbox, mailer(inbox.url.replace("//", LOGIN) + "?starttls=never") as sender:
        assert isinstance(await sender.deliver(MAIL, granted), Sent)
    assert inbox.told == [(PASSWORD, False)]


@pytest.mark.parametrize("direct", [True, False])
async def test_a_certificate_that_is_not_trusted_is_told_no_password(authority: Authority, direct: bool) -> None:
    server = Guarded(tls=authority.server) if direct else Guarded(starttls=authority.server)
    async with server as inbox, mailer(inbox.url.replace("//", LOGIN)) as sender:
        with pytest.raises(Away, match="certificate verify failed"):
            await sender.check()
    assert inbox.told == []


async def test_a_certificate_of_another_server_is_told_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Authority(tmp_path, "DNS:other.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(other.file))
    async with Guarded(starttls=other.server) as inbox, mailer(inbox.url.replace("//", LOGIN)) as sender:
        with pytest.raises(Away, match="certificate"):
            await sender.check()
    assert inbox.told == []


async def test_what_is_offered_is_used_without_a_password_too(trusted: Authority) -> None:
    seen: list[bool] = []

    class Watching(Inbox):
        async def handle_RCPT(self, *arguments: object) -> str:  # noqa: N802
            seen.append(any(p.transport.get_extra_info("sslcontext") is not None for p in self._open if p.transport))
            return await super().handle_RCPT(*arguments)  # type: ignore[arg-type]

    async with Watching(tls_context=trusted.server) as inbox, mailer(inbox.url) as sender:
        for _ in range(2):
            assert isinstance(await sender.deliver(MAIL, granted), Sent)
    assert seen == [True, True]
    assert inbox.connections == 1

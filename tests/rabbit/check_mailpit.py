"""What Mailpit, a mail server with an inbox, makes of our mails: `make mailpit`.

Not a part of `make test`, which is why the file's name does not begin with `test_`: Mailpit is built by Go, which takes a
hundred seconds of processor time and a download the first time. Later runs take a few seconds.
"""

import asyncio
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from activity.jobs import Job
from activity.outcomes import Dead, Outcome, Retry, Sent
from brokers import ports, probe
from brokers.jars import cache_folder
from rabbit.mail import email_task
from rabbit.smtp import Mailer
from rabbit.tasks import Task
from rabbit.templates import Templates
from tests.rabbit.orders import make_job
from tests.rabbit.test_tls import LOGIN, PASSWORD, Authority

VERSION: Final = "v1.27.11"
CACHE: Final = cache_folder() / f"mailpit-{VERSION}"
DATA: Final = {
    "name": "Ærøskøbing & Söhne",
    "order": "A-1, Größe „M“",
    "items": [{"quantity": 2, "name": "Rose für Jörg 🌹", "price": 1.5}],
    "total": 3,
    "link": "https://shop.example/reset?token=" + "x" * 200,
}


async def granted() -> bool:
    return True


class Mailpit:
    """A running one, and its API."""

    def __init__(self, web: int, smtp: int) -> None:
        self._api = f"http://127.0.0.1:{web}/api/v1"
        self.address = f"127.0.0.1:{smtp}"

    def ask(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._api}/{path}", data, method="GET" if data is None else "PUT")  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - its own URL
            return json.load(answer)

    def newest(self) -> Any:
        """The mail that came last, as Mailpit has read it."""
        return self.ask("message/latest")

    @contextmanager
    def chaos(self, stage: str, code: int) -> Iterator[None]:
        """It answers `code` to each command of that stage."""
        self.ask("chaos", {stage: {"ErrorCode": code, "Probability": 100}})
        try:
            yield
        finally:
            self.ask("chaos", {})


@pytest.fixture(scope="module")
def program() -> Path:
    """Mailpit's binary, built once into the user's cache."""
    found = CACHE / "mailpit"
    if not found.exists():
        go = shutil.which("go") or pytest.fail("there is no Go to build Mailpit with (golang-go in Debian)", pytrace=False)
        command = [go, "install", f"github.com/axllent/mailpit@{VERSION}"]
        built = subprocess.run(command, env=os.environ | {"GOBIN": str(CACHE)}, capture_output=True, text=True)
        if built.returncode:
            pytest.fail(f"`{' '.join(command)}` failed: {built.stderr.strip()[-500:]}", pytrace=False)
    return found


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "IP:127.0.0.1")


@pytest.fixture(params=["plain", "starttls"])
async def mailpit(
    request: pytest.FixtureRequest, program: Path, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Mailpit]:
    """One that takes any mail, and one that wants STARTTLS and a password."""
    web, smtp = ports.choose(2)
    command = [str(program), "--listen", f"127.0.0.1:{web}", "--smtp", f"127.0.0.1:{smtp}", "--enable-chaos"]
    command += ["--database", str(tmp_path / "mailpit.db"), "--disable-version-check", "--smtp-disable-rdns"]
    found = Mailpit(web, smtp)
    found.address = f"smtp://{found.address}"
    if request.param == "starttls":
        (tmp_path / "users").write_text(f"shop:{PASSWORD}\n")
        command += ["--smtp-tls-cert", f"{authority.file.parent}/cert.pem", "--smtp-tls-key", f"{authority.file.parent}/key.pem"]
        command += ["--smtp-require-starttls", "--smtp-auth-file", str(tmp_path / "users")]
        found.address = found.address.replace("//", LOGIN) + "?starttls=required"
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(60):
            while not (await probe.tcp(smtp) and await probe.http(web, "/readyz")):  # noqa: ASYNC110 - a port has no event
                await asyncio.sleep(0.05)
        yield found
    finally:
        process.kill()
        await process.wait()


@pytest.fixture
async def send(mailpit: Mailpit) -> AsyncIterator[Task]:
    """The task of the mailer."""
    mailer = Mailer(mailpit.address, 30)
    yield email_task(mailer, Templates(Path("templates")), "Shöp <mail@shop.example>")
    await mailer.close()


def job(template: str, **changes: Any) -> Job:
    event = {**make_job().event, "data": DATA}
    return msgspec.structs.replace(make_job(), template=template, event=event, **changes)


async def test_each_template_arrives_and_stands_the_checks(mailpit: Mailpit, send: Task) -> None:
    templates = Templates(Path("templates"))
    for name in templates.names:
        one = job(name, to="Jörg Müller <joerg@bücher.example>")
        assert isinstance(await send(one, granted), Sent)
        mail, wanted = mailpit.newest(), templates.render(one)
        assert not isinstance(wanted, Dead)
        assert mail["Subject"] == wanted.subject
        assert mail["From"] == {"Name": "Shöp", "Address": "mail@shop.example"}
        assert mail["To"] == [{"Name": "Jörg Müller", "Address": "joerg@xn--bcher-kva.example"}]
        assert mail["MessageID"] == f"{one.id}@shop.example"
        assert mail["Text"].replace("\r\n", "\n").rstrip("\n") == wanted.text.rstrip("\n")
        assert mail["HTML"].replace("\r\n", "\n").rstrip("\n") == (wanted.html or "").rstrip("\n")
        assert mail["Attachments"] == mail["Inline"] == []
        headers = mailpit.ask(f"message/{mail['ID']}/headers")
        assert headers["Auto-Submitted"] == ["auto-generated"]
        assert all(len(headers[name]) == 1 for name in ("Date", "From", "To", "Subject", "Message-Id", "Mime-Version"))
        if wanted.html is not None:
            check = mailpit.ask(f"message/{mail['ID']}/html-check")
            assert check["Total"]["Unsupported"] < 5, check["Warnings"]


async def test_a_bulk_mail_stands_the_check_of_its_unsubscribe_headers(mailpit: Mailpit, send: Task) -> None:
    link = "https://shop.example/unsubscribe?user=u-1%2F%C3%BC"
    assert isinstance(await send(job("newsletter", job_class="bulk", unsubscribe=link), granted), Sent)
    mail = mailpit.newest()
    assert mail["ListUnsubscribe"] == {
        "Header": f"<{link}>",
        "Links": [link],
        "Errors": "",
        "HeaderPost": "List-Unsubscribe=One-Click",
    }
    links = mailpit.ask(f"message/{mail['ID']}/link-check")["Links"]
    assert [found["URL"] for found in links] == [link]


async def test_a_mailbox_beyond_ascii_arrives(mailpit: Mailpit, send: Task) -> None:
    assert isinstance(await send(job("welcome", to="дмитрий@пример.example"), granted), Sent)
    assert mailpit.newest()["To"] == [{"Name": "", "Address": "дмитрий@xn--e1afmkfd.example"}]


async def test_chaos_is_read_as_what_it_is(mailpit: Mailpit, send: Task) -> None:
    async def after(stage: str, code: int) -> Outcome:
        with mailpit.chaos(stage, code):
            return await send(job("welcome"), granted)

    for stage in ("Sender", "Recipient"):
        later, never, crowded = await after(stage, 451), await after(stage, 550), await after(stage, 421)
        assert isinstance(later, Retry)
        assert later.burn
        assert isinstance(never, Dead)
        assert isinstance(crowded, Retry)
        assert not crowded.burn
        assert isinstance(await send(job("welcome"), granted), Sent), "the connection, or a new one, goes on"


async def test_a_server_that_takes_no_password_burns_no_attempt(mailpit: Mailpit, send: Task) -> None:
    with mailpit.chaos("Authentication", 535):
        outcome = await send(job("welcome"), granted)
    if "shop:" in mailpit.address:
        assert isinstance(outcome, Retry)
        assert not outcome.burn
        assert "535" in outcome.reason
    else:
        assert isinstance(outcome, Sent), "none is asked for"

"""The task `email`, from a job to what a mail server gets."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from activity.errors import SettingError
from activity.outcomes import Dead, Sent
from rabbit.mail import email_task
from rabbit.smtp import Mailer
from rabbit.tasks import Task
from rabbit.templates import Templates
from tests.rabbit.inbox import Inbox
from tests.rabbit.orders import make_job

TEMPLATES = Templates(Path("templates"))
LINK = "https://shop.example/unsubscribe?user=u-1"


async def granted() -> bool:
    return True


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    async with Inbox() as inbox:
        yield inbox


@pytest.fixture
async def send(inbox: Inbox) -> AsyncIterator[Task]:
    mailer = Mailer(inbox.url, 30)
    yield email_task(mailer, TEMPLATES, "Shöp <mail@shop.example>", lambda: 1_700_000_000.0)
    await mailer.close()


async def test_a_bulk_job_has_its_link_in_header_and_text(inbox: Inbox, send: Task) -> None:
    job = msgspec.structs.replace(make_job(), job_class="bulk", template="newsletter", unsubscribe=LINK)
    assert isinstance(await send(job, granted), Sent)
    (mail,) = inbox.mails
    assert mail["List-Unsubscribe"] == f"<{LINK}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert LINK in mail.get_content()


async def test_any_other_job_has_none(inbox: Inbox, send: Task) -> None:
    job = make_job(to="Jörg <joerg@bücher.example>")
    assert isinstance(await send(job, granted), Sent)
    (mail,) = inbox.mails
    assert mail["List-Unsubscribe"] is None
    assert mail["Message-ID"] == f"<{job.id}@shop.example>"
    assert (mail["From"].addresses[0].display_name, mail["To"].addresses[0].display_name) == ("Shöp", "Jörg")
    assert inbox.recipients == ["joerg@xn--bcher-kva.example"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"to": "nobody"}, "bad-address"), ({"template": "gone"}, "template"), ({"unsubscribe": "http://x\r\ny: z"}, "bad-job")],
)
async def test_what_can_not_be_made_a_mail_is_dead_and_nothing_is_said(
    inbox: Inbox, send: Task, change: dict[str, str], reason: str
) -> None:
    outcome = await send(msgspec.structs.replace(make_job(), **change), granted)
    assert isinstance(outcome, Dead)
    assert outcome.reason == reason
    assert inbox.connections == 0


async def test_a_sender_that_mail_can_not_come_from_is_refused_by_name(inbox: Inbox) -> None:
    with pytest.raises(SettingError, match="CHOPAR_MAIL_FROM"):
        email_task(Mailer(inbox.url, 30), TEMPLATES, "Shop <a@-b>")

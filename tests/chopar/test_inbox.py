"""The local inbox, spoken to over SMTP."""

import mailbox
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import pytest

from chopar.inbox.folder import Folder, Refusal, read_mail
from chopar.inbox.server import serve


@asynccontextmanager
async def connected(path: Path) -> AsyncIterator[aiosmtplib.SMTP]:
    server = await serve(Folder(path), "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
            yield client
    finally:
        server.close()


def message(to: str, number: int = 1) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "shop@example.com", to, "Hello"
    made["Message-ID"] = f"<job-{number}@shop.example>"
    made.set_content("Hello,\n.\nsee you.\n")
    return made


async def test_it_keeps_what_it_takes_where_a_mail_program_finds_it(tmp_path: Path) -> None:
    async with connected(tmp_path) as client:
        await client.send_message(message("anna@example.com"))
    (mail,) = Folder(tmp_path).mails()
    assert (mail.to, mail.message_id) == ("anna@example.com", "job-1@shop.example")
    assert read_mail(mail.path).get_content() == "Hello,\n.\nsee you.\n"
    assert [found["Subject"] for found in mailbox.Maildir(str(tmp_path))] == ["Hello"]
    assert Folder(tmp_path).refusals() == []


async def test_it_refuses_the_first_try_of_each_message_to_an_address_that_asks_for_it(tmp_path: Path) -> None:
    async with connected(tmp_path) as client:
        for number in (1, 2):
            with pytest.raises(aiosmtplib.SMTPDataError, match="451"):
                await client.send_message(message("retry.anna@example.com", number))
    async with connected(tmp_path) as client:  # another process, the same folder: it remembers
        for number in (1, 2):
            await client.send_message(message("retry.anna@example.com", number))
    folder = Folder(tmp_path)
    assert [mail.message_id for mail in folder.mails()] == ["job-1@shop.example", "job-2@shop.example"]
    assert [refusal.kind for refusal in folder.refusals()] == ["later", "later"]


async def test_it_refuses_everything_to_an_address_that_asks_for_it(tmp_path: Path) -> None:
    async with connected(tmp_path) as client:
        for _ in range(2):
            with pytest.raises(aiosmtplib.SMTPRecipientsRefused, match="550"):
                await client.send_message(message("refused.anna@example.com"))
    folder = Folder(tmp_path)
    assert list(folder.mails()) == []
    assert folder.refusals() == [Refusal("never", "refused.anna@example.com")] * 2


def test_a_refusal_that_was_half_written_is_passed_over(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.refuse(Refusal("never", "a@b.example"))
    with (tmp_path / "refused.jsonl").open("a") as file:
        file.write('{"kind":"nev')
    assert folder.refusals() == [Refusal("never", "a@b.example")]

"""The conversation with a mail server, on a real one: when is it safe to repeat, and when does nobody know?"""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from aiosmtpd.smtp import AuthResult

from activity.outcomes import Dead, Retry, Sent, Unknown
from brokers import ports
from rabbit.conversation import Envelope, stuffed
from rabbit.smtp import Away, Mailer
from tests.rabbit.crowded import Crowded
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


@pytest.mark.parametrize("when", ["RCPT", "DATA"])
async def test_hung_up_with_421_is_a_retry_on_a_new_connection(inbox: Inbox, mailer: Mailer, when: str) -> None:
    inbox.when = when
    inbox.replies[MAIL.recipient] = ["421 4.3.2 closing"]
    assert await mailer.deliver(MAIL, granted) == Retry("421 4.3.2 closing", burn=False, slow=True, kind="busy")
    assert isinstance(await mailer.deliver(MAIL, granted), Sent)
    assert inbox.connections == 2


async def test_a_mailbox_beyond_ascii_is_sent_to_where_the_server_takes_it() -> None:
    mail = msgspec.structs.replace(MAIL, recipient="дмитрий@xn--e1afmkfd.example")
    async with Inbox(enable_SMTPUTF8=True) as inbox:
        mailer = Mailer(inbox.url, 30)
        assert isinstance(await mailer.deliver(mail, granted), Sent)
        await mailer.close()
    assert inbox.recipients == [mail.recipient]
    assert inbox.options == ["SMTPUTF8", "BODY=8BITMIME"]


async def test_a_mailbox_beyond_ascii_is_dead_where_the_server_does_not(inbox: Inbox, mailer: Mailer) -> None:
    """And the connection goes on."""
    mail = msgspec.structs.replace(MAIL, recipient="дмитрий@xn--e1afmkfd.example")
    outcome = await mailer.deliver(mail, granted)
    assert isinstance(outcome, Dead)
    assert (outcome.reason, "SMTPUTF8" in outcome.reply, mail.recipient in outcome.reply) == ("bad-address", True, False)
    assert isinstance(await mailer.deliver(MAIL, granted), Sent)
    assert (inbox.connections, len(inbox.mails)) == (1, 1)


async def test_a_server_that_takes_fewer_connections_burns_no_attempt_and_asks_for_fewer() -> None:
    async with Crowded() as inbox:
        mailer = Mailer(inbox.url, 30)
        inbox.hold = asyncio.Event()
        first = [asyncio.create_task(mailer.deliver(MAIL, granted)) for _ in range(4)]
        async with asyncio.timeout(30):
            while inbox.turned_away < 2 or sum(task.done() for task in first) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        inbox.hold.set()
        outcomes = await asyncio.gather(*first)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Retry", "Retry", "Sent", "Sent"]
        refused = [outcome for outcome in outcomes if isinstance(outcome, Retry)]
        assert [(outcome.burn, outcome.slow, outcome.kind) for outcome in refused] == [(False, True, "connection")] * 2
        assert await mailer.answers(), "asked on a connection there is: the server would not take another"
        assert inbox.turned_away == 2
        await mailer.close()
    assert len(inbox.mails) == 2


@pytest.mark.parametrize(("greeting", "words"), [("554 5.7.1 not you", "554 5.7.1 not you"), ("nonsense", "nonsense")])
async def test_a_server_that_greets_with_a_refusal_is_away_by_its_words(greeting: str, words: str) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting.encode() + b"\r\n")
        writer.close()

    port = ports.choose(1)[0]
    async with await asyncio.start_server(refuse, "127.0.0.1", port):
        mailer = Mailer(f"smtp://127.0.0.1:{port}", 30)
        with pytest.raises(Away, match=words) as caught:
            await mailer.check()
        outcome = await mailer.deliver(MAIL, granted)
    assert not caught.value.credentials
    assert isinstance(outcome, Retry)
    assert not outcome.burn
    assert words in outcome.reason


async def test_a_server_that_wants_a_login_is_found_before_any_mail_dies_of_it() -> None:
    async with Inbox(authenticator=lambda *_: AuthResult(success=False), auth_required=True, auth_require_tls=True) as inbox:
        mailer = Mailer(inbox.url, 30)
        with pytest.raises(Away, match="530") as caught:
            await mailer.check("shop@shop.example")
        outcome = await mailer.deliver(MAIL, granted)
        await mailer.close()
    assert caught.value.credentials
    assert isinstance(outcome, Retry)
    assert not outcome.burn


async def test_a_check_is_about_the_server_and_not_about_one_sender(inbox: Inbox, mailer: Mailer) -> None:
    await mailer.check("shop@shop.example")
    await mailer.check("дмитрий@shop.example")
    inbox.when = "MAIL"
    inbox.replies["shop@shop.example"] = ["550 5.7.1 not you"]
    await mailer.check("shop@shop.example")
    assert inbox.replies["shop@shop.example"] == []


async def test_a_probe_passes_over_kept_connections_that_are_dead(inbox: Inbox, mailer: Mailer) -> None:
    await asyncio.gather(*(mailer.deliver(MAIL, granted) for _ in range(3)))
    await inbox.stop()
    assert not await mailer.answers()
    await inbox.start()
    assert await mailer.answers()


def test_no_line_of_the_content_can_end_the_message() -> None:
    assert stuffed(b".\r\na\r\n.") == b"..\r\na\r\n..\r\n"
    assert b"\r\n.\r\n" not in b"\r\n" + stuffed(b"x\r\n.\r\n.\r\n..\r\n.")

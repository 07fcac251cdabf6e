"""The mailer as a process: `python -m rabbit` on a real RabbitMQ, a real store and a real mail server; stopped and killed."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from aio_pika.abc import AbstractIncomingMessage
from msgspec.structs import replace

from activity.names import BULK_QUEUE, LIFECYCLE_EXCHANGE, TRANSACTIONAL_QUEUE
from brokers import ports
from brokers.node import Node
from brokers.rabbitmq import RabbitMQ
from rabbit import topology
from rabbit.publisher import Publisher
from store.opening import Store, open_store
from tests.rabbit import broker
from tests.rabbit.inbox import Inbox
from tests.rabbit.orders import make_job, make_jobs

FAR_ENDS = ("rabbitmq", "store", "smtp")


@pytest.fixture
def environment(tmp_path: Path, rabbit_url: str) -> dict[str, str]:
    """For a mailer that has a data folder and a store of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHOPAR_")}
    return kept | {
        "CHOPAR_RABBIT_URL": rabbit_url,
        "CHOPAR_DATA_DIR": str(tmp_path),
        "CHOPAR_SMTP_TIMEOUT": "5",
        "CHOPAR_RETRY_BASE": "0.1",
        "CHOPAR_RETRY_CAP": "1",
    }


def store_url(environment: Mapping[str, str]) -> str:
    return f"sqlite:///{environment['CHOPAR_DATA_DIR']}/chopar.db"


class Mailing:
    """A mailer process and what it says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def says(self, text: str, within: float = 60.0) -> str:
        """The next line with `text` in it."""
        assert self.process.stderr is not None
        async with asyncio.timeout(within):
            while line := (await self.process.stderr.readline()).decode():
                self.lines.append(line)
                if text in line:
                    return line
        raise AssertionError(f"ended without saying {text!r}: {self.lines}")

    async def ends(self, within: float = 60.0) -> int:
        """Its exit code, all it said in `lines`."""
        assert self.process.stderr is not None
        async with asyncio.timeout(within):
            self.lines += (await self.process.stderr.read()).decode().splitlines()
            return await self.process.wait()


@asynccontextmanager
async def mailer(environment: Mapping[str, str]) -> AsyncIterator[Mailing]:
    """A mailer; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rabbit", env=environment, stderr=asyncio.subprocess.PIPE, limit=2**20
    )
    mailing = Mailing(process)
    try:
        yield mailing
    finally:
        if process.returncode is None:
            process.kill()
        await mailing.ends()


async def test_sends_stops_on_sigterm_and_says_little(rabbit: str, environment: dict[str, str]) -> None:
    jobs = make_jobs(300)
    heard: list[str] = []
    port = ports.choose(1)[0]
    async with Inbox() as inbox, broker.opened(rabbit) as channel, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as web:
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(LIFECYCLE_EXCHANGE)

        async def hear(message: AbstractIncomingMessage) -> None:
            heard.append(message.routing_key or "")

        await queue.consume(hear, no_ack=True)
        async with mailer(environment | {"CHOPAR_SMTP_URL": inbox.url, "CHOPAR_MAILER_PORT": str(port)}) as mailing:
            await mailing.says("sending")
            async with Publisher(rabbit) as publisher:
                await publisher.publish(jobs)
            await inbox.received(300)
            ready = await web.get("/readyz")
            assert (ready.status, await ready.json()) == (200, {"ready": True, "checks": dict.fromkeys(FAR_ENDS, "ok")})
            assert 'chopar_mailer_job_changes_total{state="sending"} 300.0' in await (await web.get("/metrics")).text()
            mailing.process.send_signal(signal.SIGTERM)
            assert await mailing.ends() == 0
        async with asyncio.timeout(30):
            while len(heard) < 600:  # noqa: ASYNC110 - told to a callback
                await asyncio.sleep(0.05)
    assert set(inbox.ids.values()) == {1}
    assert sorted(set(heard)) == ["job.sending", "job.sent"]
    assert len(mailing.lines) <= 3, mailing.lines
    assert await broker.waiting(rabbit, TRANSACTIONAL_QUEUE) == 0
    async with open_store(store_url(environment)) as store:
        assert (await store.jobs.counts())["sent"] == 300


async def test_killed_in_the_middle_each_mail_is_there_once_or_unknown(rabbit: str, environment: dict[str, str]) -> None:
    jobs = make_jobs(600)
    async with Inbox() as inbox, Publisher(rabbit) as publisher:
        environment |= {"CHOPAR_SMTP_URL": inbox.url, "CHOPAR_SMTP_TIMEOUT": "10"}
        for part in range(3):
            async with mailer(environment) as mailing:
                await mailing.says("sending")
                if part == 0:
                    await publisher.publish(jobs)
                await inbox.received(60 + 150 * part)
                mailing.process.send_signal(signal.SIGKILL)
        async with mailer(environment), open_store(store_url(environment)) as store:
            async with asyncio.timeout(120):
                while (await store.jobs.counts())["sent"] < len(jobs):  # noqa: ASYNC110 - another process writes it
                    await asyncio.sleep(0.1)
            rows = await store.jobs.jobs(limit=1000)
            doubtful = {f"<{row.id}@localhost>" for row in rows if row.doubtful}
    assert {f"<{job.id}@localhost>" for job in jobs} == set(inbox.ids)
    assert {id for id, count in inbox.ids.items() if count > 1} <= doubtful
    assert len(doubtful) < len(jobs) / 2, "what the workers had in hand, and what they had just handed in; not all"


async def test_two_mailers_send_what_is_due_once_though_one_is_killed_at_it(rabbit: str, environment: dict[str, str]) -> None:
    due = datetime.now(UTC) + timedelta(seconds=8)
    jobs = [replace(job, send_at=due) for job in make_jobs(400)]
    async with Inbox() as inbox, Publisher(rabbit) as publisher:
        environment |= {"CHOPAR_SMTP_URL": inbox.url, "CHOPAR_SMTP_TIMEOUT": "2"}
        async with mailer(environment) as first, mailer(environment) as second, open_store(store_url(environment)) as store:
            await first.says("sending")
            await second.says("sending")
            await publisher.publish(jobs)
            async with asyncio.timeout(120):
                while (await store.jobs.counts())["scheduled"] + len(inbox.mails) < len(jobs):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            await inbox.received(20)
            assert datetime.now(UTC) >= due
            first.process.kill()
            # What it had taken is published by the other when its lease is over; a test need not wait so long.
            async with asyncio.timeout(120):
                while counts := await store.jobs.counts():
                    if counts["sent"] == len(jobs):
                        break
                    await end_leases(store, first.process.pid)
                    await asyncio.sleep(0.2)
            rows = await store.jobs.jobs(limit=1000)
        doubtful = {f"<{row.id}@localhost>" for row in rows if row.doubtful}
    assert {f"<{job.id}@localhost>" for job in jobs} == set(inbox.ids)
    assert {id for id, count in inbox.ids.items() if count > 1} <= doubtful


async def end_leases(store: Store, pid: int) -> None:
    """As if a minute had passed for what that process was publishing."""
    for row in await store.jobs.scheduled(limit=1000):
        if f":{pid}:" in row.owner:
            await store.ledger("resend").move(row.id, row.due or 0.0, 0.0)


async def test_waits_out_rabbitmq_and_the_mail_server(private_rabbitmq: Node[RabbitMQ], environment: dict[str, str]) -> None:
    url = private_rabbitmq.url
    await topology.declare(url)
    environment |= {"CHOPAR_RABBIT_URL": url}
    async with Inbox() as inbox, Publisher(url) as publisher, mailer(environment | {"CHOPAR_SMTP_URL": inbox.url}) as mailing:
        await mailing.says("sending")
        await publisher.publish(make_jobs(50))
        await inbox.received(50)
        await private_rabbitmq.kill()
        await mailing.says("RabbitMQ is away")
        await private_rabbitmq.start()
        await mailing.says("RabbitMQ is back after")
        await inbox.stop()
        await publisher.publish([make_job(number) for number in range(51, 101)])
        await mailing.says("mail server is away")
        await inbox.start()
        await mailing.says("mail server is back after")
        await inbox.received(100)
        mailing.process.send_signal(signal.SIGTERM)
        assert await mailing.ends() == 0
    assert set(inbox.ids.values()) == {1}
    assert len([line for line in mailing.lines if " is away " in line]) == 2, mailing.lines


async def test_sigterm_while_rabbitmq_is_away_ends_it_too(private_rabbitmq: Node[RabbitMQ], environment: dict[str, str]) -> None:
    await topology.declare(private_rabbitmq.url)
    environment |= {"CHOPAR_RABBIT_URL": private_rabbitmq.url}
    async with Inbox() as inbox, mailer(environment | {"CHOPAR_SMTP_URL": inbox.url}) as mailing:
        await mailing.says("sending")
        await private_rabbitmq.kill()
        await mailing.says("RabbitMQ is away")
        mailing.process.send_signal(signal.SIGTERM)
        assert await mailing.ends(within=30) == 0


async def order(environment: Mapping[str, str], *arguments: str) -> list[dict[str, Any]]:
    """`chopar jobs …`: what the mailers answered."""
    command = (sys.executable, "-m", "chopar", "jobs", *arguments, "--json")
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    answer, _ = await process.communicate()
    assert process.returncode == 0
    return cast("list[dict[str, Any]]", json.loads(answer)["mailers"])


async def test_mailers_are_paused_and_resized_while_they_run(rabbit: str, environment: dict[str, str]) -> None:
    """The pause stands: a mailer that starts later is paused as well."""
    async with Inbox() as inbox, Publisher(rabbit) as publisher:
        environment |= {"CHOPAR_SMTP_URL": inbox.url}
        async with mailer(environment) as first, mailer(environment) as second:
            await first.says("sending")
            await second.says("sending")
            await publisher.publish([make_job(1)])
            await inbox.received(1)
            while len(paused := await order(environment, "pause")) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # it listens a moment after it sends
            assert [answer["state"] for answer in paused] == ["paused"] * 2
            async with mailer(environment) as late:
                await late.says("paused")
                await publisher.publish([make_job(number) for number in range(2, 30)])
                while len(answers := await order(environment, "workers", "5")) < 3:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
                assert [(answer["state"], answer["workers"], answer["busy"]) for answer in answers] == [("paused", 5, 0)] * 3
                assert len(inbox.mails) == 1
                await order(environment, "resume")
                await inbox.received(29)
                for mailing in (first, second, late):
                    mailing.process.send_signal(signal.SIGTERM)
                    assert await mailing.ends() == 0
    assert set(inbox.ids.values()) == {1}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"CHOPAR_RABBIT_URL": "http://x"}, "CHOPAR_RABBIT_URL: expected a URL like amqp://"),
        ({"CHOPAR_RABBIT_URL": "amqp://guest:secret@127.0.0.1:1/"}, "CHOPAR_RABBIT_URL: no answer from 127.0.0.1:1"),
        ({"CHOPAR_SMTP_URL": "smtp://127.0.0.1:1"}, "CHOPAR_SMTP_URL: no answer from 127.0.0.1:1"),
        ({"CHOPAR_SMTP_URL": ""}, "CHOPAR_SMTP_URL: is not set"),
        ({"CHOPAR_TEMPLATES": "nowhere"}, "CHOPAR_TEMPLATES: there is no folder nowhere"),
        ({"CHOPAR_TEMPLATES": "tests"}, "template"),
        ({"CHOPAR_STORE_URL": "sqlite:////proc/nowhere/chopar.db"}, "CHOPAR_STORE_URL"),
        ({"CHOPAR_MAIL_FROM": "a b@c"}, "CHOPAR_MAIL_FROM"),
        ({"CHOPAR_NONSENSE": "1"}, "CHOPAR_NONSENSE: there is no such setting"),
    ],
)
async def test_what_is_wrong_at_the_start_is_one_line(
    rabbit: str, environment: dict[str, str], change: dict[str, str], text: str
) -> None:
    async with Inbox() as inbox, mailer(environment | {"CHOPAR_SMTP_URL": inbox.url} | change) as mailing:
        assert await mailing.ends() == 1
    (line,) = mailing.lines
    assert text in line
    assert "secret" not in line


async def test_wrong_credentials_and_another_queue_are_one_line(rabbit: str, environment: dict[str, str]) -> None:
    wrong = rabbit.replace("guest:guest", "guest:secret")
    async with Inbox() as inbox:
        environment |= {"CHOPAR_SMTP_URL": inbox.url}
        async with mailer(environment | {"CHOPAR_RABBIT_URL": wrong}) as mailing:
            assert await mailing.ends() == 1
        assert "CHOPAR_RABBIT_URL" in mailing.lines[0]
        assert "refused" in mailing.lines[0]
        assert "secret" not in mailing.lines[0]
        async with broker.opened(rabbit) as channel:
            await channel.queue_delete(BULK_QUEUE)
            await channel.declare_queue(BULK_QUEUE, durable=True)
        async with mailer(environment) as mailing:
            assert await mailing.ends() == 1
        (line,) = mailing.lines
        assert line.startswith(f"chopar: RabbitMQ: queue {BULK_QUEUE} ")
        async with broker.opened(rabbit) as channel:
            await channel.queue_delete(BULK_QUEUE)
        async with mailer(environment) as mailing:  # what is missing it declares
            await mailing.says("sending")
    await topology.verify(rabbit)

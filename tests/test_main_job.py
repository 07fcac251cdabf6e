"""The main job, end to end, while each of its processes is killed: promises 1 to 4 of docs/guarantees.md."""

import asyncio
import random
import sqlite3
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from brokers import ports
from tests.processes import MAILER, NOTIFIER, ROOT, WORKER, Process
from tests.rabbit.inbox import Inbox

USERS, EVENTS = 50, 5000


class Story:
    """What is sent: each user's events in order, then disturbed; some of them make a mail."""

    def __init__(self, run: str, seed: int) -> None:
        rng = random.Random(seed)
        self.users = [f"{run}-{number}" for number in range(USERS)]
        self.wanted: dict[str, list[str]] = {}
        streams: list[list[dict[str, Any]]] = []
        for user in self.users:
            stream = [self._event(user, n, rng) for n in range(1, EVENTS // USERS + 1)]
            self.wanted[user] = [event["id"] for event in stream]
            streams.append(stream)
        mixed: list[dict[str, Any]] = []
        while any(streams):
            mixed.append(rng.choice([stream for stream in streams if stream]).pop(0))
        self.mails = sum(event["type"] != "page.viewed" for event in mixed)
        for _ in range(len(mixed) // 50):  # 2 % change places
            at = rng.randrange(len(mixed) - 3)
            mixed[at], mixed[at + 2] = mixed[at + 2], mixed[at]
        for _ in range(len(mixed) // 20):  # 5 % come again
            mixed.insert(rng.randrange(len(mixed)), mixed[rng.randrange(len(mixed))])
        self.events = mixed

    @staticmethod
    def _event(user: str, n: int, rng: random.Random) -> dict[str, Any]:
        kind = "user.signed_up" if n == 1 else "user.password_reset_requested" if rng.random() < 0.05 else "page.viewed"
        data = {"email": f"{user}@shop.example", "name": "Ann", "link": "https://shop.example/r"}
        return {
            "specversion": "1.0", "id": f"{user}-{n}", "source": "/web", "type": kind, "subject": user,
            "sequence": str(n), "data": data,
        }  # fmt: skip


async def send(kafka_url: str, events: list[dict[str, Any]], rate: float) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka_url.removeprefix("kafka://"), enable_idempotence=True)
    await producer.start()
    try:
        sent = []
        for number, event in enumerate(events):
            sent.append(await producer.send("activity.events", msgspec.json.encode(event), key=event["subject"].encode()))
            if number % 50 == 0:
                await asyncio.sleep(50 / rate)
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def read_log(kafka_url: str, users: set[str]) -> dict[str, list[tuple[int, str]]]:
    """(position, event id) of each user's records on `activity.log`, as they stand there."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka_url.removeprefix("kafka://"), auto_offset_reset="earliest")
    await consumer.start()
    found: dict[str, list[tuple[int, str]]] = defaultdict(list)
    try:
        await consumer._client._wait_on_metadata("activity.log")
        partitions = [TopicPartition("activity.log", n) for n in consumer.partitions_for_topic("activity.log")]
        ends = await consumer.end_offsets(partitions)
        consumer.assign(partitions)
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                for record in batch:
                    event = msgspec.json.decode(record.value)
                    if event.get("subject") in users:
                        found[event["subject"]].append((event["position"], event["id"]))
    finally:
        await consumer.stop()
    return found


class Installation:
    """Worker, notifier and mailer over the test's brokers, with a store and an inbox of their own."""

    def __init__(self, kafka_url: str, rabbit_url: str, folder: Path, inbox: Inbox, **settings: str) -> None:
        self.store = folder / "chopar.db"
        env = {
            "CHOPAR_KAFKA_URL": kafka_url,
            "CHOPAR_RABBIT_URL": rabbit_url,
            "CHOPAR_SMTP_URL": inbox.url,
            "CHOPAR_STORE_URL": f"sqlite:///{self.store}",
            "CHOPAR_DATA_DIR": str(folder / "data"),
            "CHOPAR_WEB_PORT": str(ports.choose(1)[0]),
            "CHOPAR_SMTP_TIMEOUT": "2s",
            "CHOPAR_RULES": str(ROOT / "rules.toml"),
            "CHOPAR_TEMPLATES": str(ROOT / "templates"),
            **settings,
        }
        self.worker = Process(WORKER, env, folder / "worker.log")
        self.notifier = Process(NOTIFIER, env, folder / "notifier.log")
        self.mailer = Process(MAILER, env, folder / "mailer.log")
        self.all = (self.worker, self.notifier, self.mailer)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            for process, ready in ((self.worker, "Worker ready"), (self.notifier, "Worker ready"), (self.mailer, "sending")):
                process.start()
                await asyncio.to_thread(process.says, ready)
            yield
        finally:
            for process in self.all:
                if process.running:
                    process.kill()

    def rows(self, query: str, *values: Any) -> list[Any]:
        with sqlite3.connect(self.store, timeout=30) as database:
            found = database.execute(query, values).fetchall()
        database.close()
        return found

    async def until(self, true: Callable[[], bool], what: str, within: float = 180.0) -> None:
        try:
            async with asyncio.timeout(within):
                while not true():  # noqa: ASYNC110  (what is waited for is in a file that others write)
                    await asyncio.sleep(0.3)
        except TimeoutError:
            logs = "\n".join(f"--- {process.log.name}\n{process.tail(15)}" for process in self.all)
            raise AssertionError(f"not within {within} s: {what}\n{logs}") from None


@pytest.mark.timeout(600)
async def test_killed_at_any_moment_nothing_is_lost_and_nobody_gets_a_mail_twice(
    kafka_url: str, rabbit_url: str, tmp_path: Path
) -> None:
    run = f"u{uuid.uuid4().hex[:8]}"
    story, rng = Story(run, seed=7), random.Random(7)
    async with Inbox() as inbox:
        ours = Installation(kafka_url, rabbit_url, tmp_path, inbox)
        async with ours.running():
            feeding = asyncio.create_task(send(kafka_url, story.events, rate=400))
            for process in (*ours.all, *rng.sample(ours.all, 3)):
                await asyncio.sleep(rng.uniform(0.5, 3.0))
                process.kill()
                process.start()
            await feeding
            like = f"{run}-%"
            await ours.until(
                lambda: ours.rows("select count(*) from activity where user_id like ?", like)[0][0] >= EVENTS, "all in the store"
            )
            ended = "select count(*) from job where user_id like ? and state in ('sent', 'dead', 'unknown')"
            await ours.until(lambda: ours.rows(ended, like)[0][0] >= story.mails, "all mails sent")
        log = await read_log(kafka_url, set(story.users))

    for user, wanted in story.wanted.items():
        stored = ours.rows("select position, event_id from activity where user_id = ? order by position", user)
        assert stored == list(enumerate(wanted, 1)), "in order, without a hole, each once"
        assert set(log[user]) == set(stored), "a repetition on activity.log has the same position"

    jobs = ours.rows("select id, state from job where user_id like ?", like)
    assert len(jobs) == story.mails
    assert {state for _, state in jobs} == {"sent"}
    doubtful = {id for (id,) in ours.rows("select distinct job_id from attempt where outcome = 'unknown'")}
    mails = Counter(str(mail["Message-ID"]).strip("<>").partition("@")[0] for mail in inbox.mails if run in str(mail["To"]))
    assert set(mails) == {id for id, _ in jobs}, "each job's mail arrived"
    twice = {id for id, count in mails.items() if count > 1}
    assert twice <= doubtful, "only what the ledger calls unknown may have come twice"

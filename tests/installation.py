"""A whole installation as tests run it: its processes over given brokers, with a store of its own; and what goes in and out."""

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from brokers import ports
from streams.exits import SOFTWARE, TEMPFAIL
from streams.seats import Seat, give_up_seats
from tests.processes import MAILER, NOTIFIER, ROOT, WORKER, Process


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
    """Worker, notifier and mailer over given brokers and mail server, with a store of their own."""

    def __init__(self, folder: Path, kafka_url: str, rabbit_url: str = "", smtp_url: str = "", **settings: str) -> None:
        self.store = folder / "chopar.db"
        self._folder = folder
        self._env = {
            "CHOPAR_KAFKA_URL": kafka_url,
            "CHOPAR_RABBIT_URL": rabbit_url,
            "CHOPAR_SMTP_URL": smtp_url,
            "CHOPAR_STORE_URL": f"sqlite:///{self.store}",
            "CHOPAR_SMTP_TIMEOUT": "2s",
            "CHOPAR_RULES": str(ROOT / "rules.toml"),
            "CHOPAR_TEMPLATES": str(ROOT / "templates"),
            **settings,
        }
        self.worker = self.process(WORKER, "worker")
        self.notifier = self.process(NOTIFIER, "notifier")
        self.mailer = self.process(MAILER, "mailer")
        self.all = (self.worker, self.notifier, self.mailer)

    def process(self, command: tuple[str, ...], name: str, **more: str) -> Process:
        """One more of its processes, not started, with `more` in its environment."""
        own = {"CHOPAR_DATA_DIR": str(self._folder / name), "CHOPAR_WEB_PORT": str(ports.choose(1)[0])}
        return Process(command, {**self._env, **own, **more}, self._folder / f"{name}.log")

    @asynccontextmanager
    async def running(self, *processes: Process) -> AsyncIterator[None]:
        """Start `processes` one after the other, each ready before the next; kill at the end what still runs."""
        try:
            for process in processes:
                process.start()
                await asyncio.to_thread(process.says, "sending" if process.command == MAILER else "Worker ready")
            yield
        finally:
            for process in processes:
                if process.running:
                    process.kill()
            await self._free_seats()

    async def _free_seats(self) -> None:
        """Who comes next does not wait for the sessions of those that were killed here."""
        for folder in self._folder.glob("*/*/seats"):
            seat = Seat(folder)
            if killed := seat.take_from_dead():
                await give_up_seats(self._env["CHOPAR_KAFKA_URL"].removeprefix("kafka://"), folder.parent.name, killed)
            seat.leave()

    def stored(self, users: str) -> int:
        """How many events of users that begin with `users` are in the store."""
        return int(self.rows("select count(*) from activity where user_id like ?", f"{users}%")[0][0])

    def ended(self) -> int:
        """How many jobs have ended."""
        return int(self.rows("select count(*) from job where state in ('sent', 'dead', 'cancelled', 'unknown')")[0][0])

    def rows(self, query: str, *values: Any) -> list[Any]:
        with sqlite3.connect(self.store, timeout=30) as database:
            found = database.execute(query, values).fetchall()
        database.close()
        return found

    def _start_again(self) -> None:
        """As a supervisor does: a process that left to be safe comes back."""
        for process in self.all:
            if process.left in (SOFTWARE, TEMPFAIL):
                process.start()

    async def until(self, true: Callable[[], bool], what: str, within: float = 180.0) -> None:
        try:
            async with asyncio.timeout(within):
                while not true():
                    self._start_again()
                    await asyncio.sleep(0.3)
        except TimeoutError:
            logs = "\n".join(f"--- {process.log.name}\n{process.tail(15)}" for process in self.all if process.log.exists())
            raise AssertionError(f"not within {within} s: {what}\n{logs}") from None

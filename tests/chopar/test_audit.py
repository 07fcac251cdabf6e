"""`chopar audit` over a real installation: while it runs, at rest, after retention, and with faults that are planted in it."""

import asyncio
import sqlite3
import subprocess
import uuid
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from prometheus_client.parser import text_string_to_metric_families

from activity import names, order
from activity.events import log_value
from activity.settings import parse_settings
from brokers.kafka import Kafka
from brokers.node import Node
from chopar.delivery import delivering
from chopar.demo.shop import traffic
from chopar.demo.traffic import Traffic
from streams.topics import partition_of
from tests.activity.examples import value
from tests.chopar.running import chopar
from tests.installation import Installation

EVENTS = 600
STRAYS = 3


async def audited(kafka_url: str, ours: Installation, *arguments: str) -> "subprocess.CompletedProcess[str]":
    store = f"sqlite:///{ours.store}"
    return await asyncio.to_thread(
        chopar, "audit", *arguments, kafka_url=kafka_url, store_url=store, data_dir=str(ours.store.parent)
    )


async def document(kafka_url: str, ours: Installation) -> Any:
    result = await audited(kafka_url, ours, "--json")
    assert result.stdout, result.stderr
    found = msgspec.json.decode(result.stdout)
    assert (result.returncode == 0) == found["ok"], result.stderr
    return found


async def feed(kafka_url: str, plan: Traffic, ours: Installation) -> None:
    """The traffic of a shop with all that goes wrong in one, and events that don't lie where they belong."""
    async with delivering(parse_settings({"CHOPAR_KAFKA_URL": kafka_url})) as delivery:
        for number, record in enumerate(plan.records):
            await delivery.send(names.EVENTS, record.key, record.value)
            if number % 50 == 0:
                await asyncio.sleep(0.1)
        for number in range(STRAYS):
            await delivery.send(names.EVENTS, None, value(id=str(number), subject="stray"))
        await delivery.flush()
        in_time = sum(record.fate == "logged" for record in plan.records) + STRAYS
        await ours.until(lambda: ours.stored("") >= in_time, "all that came in time is stored")
        for record in plan.latecomers:
            await delivery.send(names.EVENTS, record.key, record.value)
        await delivery.flush()
    await ours.until(lambda: ours.stored("") == len(plan.good) + STRAYS, "those that were late too")


async def at_rest(kafka_url: str, ours: Installation) -> Any:
    """The audit, once all offsets are committed."""
    async with asyncio.timeout(60):
        while True:
            found = await document(kafka_url, ours)
            if not (found["total"]["unread"] or found["total"]["unstored"]):
                return found


def metrics(port: str) -> dict[tuple[str, str], int]:
    """Name and verdict (or why), over all partitions."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    found: dict[tuple[str, str], int] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("chopar_") and not sample.name.endswith("_created"):
                key = sample.name, sample.labels.get("verdict") or sample.labels.get("why") or ""
                found[key] = found.get(key, 0) + int(sample.value)
    return found


async def test_it_adds_up_while_it_runs_and_at_rest_and_what_is_planted_is_named(
    private_kafka: Node[Kafka], tmp_path: Path
) -> None:
    url, plan = private_kafka.url, traffic(3, uuid.uuid4().hex[:4], EVENTS)
    ours = Installation(tmp_path, url, CHOPAR_GAP_TIMEOUT="1s")
    async with ours.running(ours.worker):
        feeding = asyncio.create_task(feed(url, plan, ours))
        for _ in range(2):
            assert (await document(url, ours))["differences"] == []
        await feeding
        found = await at_rest(url, ours)
        compare_with_plan(found["total"], plan)
        compare_with_metrics(found["total"], metrics(ours.worker.env["CHOPAR_WEB_PORT"]))
        assert ours.worker.stop() == 0
    await delete_old(url)
    kept = await document(url, ours)
    assert kept["differences"] == [], "what retention has deleted is no difference"
    assert kept["total"]["unchecked"] > 0
    assert kept["total"]["stored"] == found["total"]["stored"]
    expected = await plant(url, ours)
    planted = await document(url, ours)
    assert [(one["kind"], one["topic"], one["partition"], one["offset"]) for one in planted["differences"]] == sorted(
        expected, key=lambda place: (place[1] == names.LOG, *place[2:])
    )
    assert (planted["total"]["lost"], planted["total"]["waiting"]) == (1, 1)
    assert planted["total"]["unchecked"] == kept["total"]["unchecked"]
    shown = await audited(url, ours)
    assert shown.returncode == 1
    for kind, topic, partition, offset in expected:
        assert f"{topic}/{partition}/{offset}  {kind}: " in shown.stdout


def compare_with_plan(total: dict[str, int], plan: Traffic) -> None:
    fates = [record.fate for record in plan.all]
    assert total["read"] == len(plan.all) + STRAYS
    assert total["moved"] == STRAYS
    assert total["logged"] + total["late"] == len(plan.good) + STRAYS
    assert total["late"] >= fates.count("late")
    assert total["duplicate"] == fates.count("duplicate")
    assert total["dead"] == fates.count("dead")
    assert (total["waiting"], total["lost"], total["unchecked"], total["repeated"]) == (0, 0, 0, 0)
    assert total["stored"] == total["log"] == len(plan.good) + STRAYS


def compare_with_metrics(total: dict[str, int], found: dict[tuple[str, str], int]) -> None:
    """One worker that was never killed has seen it all."""
    assert found["chopar_events_read_total", ""] == total["read"]
    for verdict in ("logged", "late", "duplicate", "dead"):
        assert found["chopar_events_total", verdict] == total[verdict]
    assert found["chopar_events_waiting", ""] == total["waiting"]
    assert found["chopar_records_passed_over_total", "tick"] == total["ticks"]
    assert found["chopar_records_passed_over_total", "moved"] == total["moved"]


async def delete_old(kafka_url: str) -> None:
    """As retention does: the beginning of each partition, more of some topics than of others; of `activity.dead` all but one."""
    where = kafka_url.removeprefix("kafka://")
    consumer = AIOKafkaConsumer(bootstrap_servers=where)
    admin = AIOKafkaAdminClient(bootstrap_servers=where)
    await consumer.start()
    await admin.start()
    try:
        for topic, share in ((names.EVENTS, 0.3), (names.LOG, 0.6), (names.DEAD, 1.0)):
            ends = await consumer.end_offsets([TopicPartition(topic, number) for number in range(8)])
            before = {place: min(int(end * share), end - 1) for place, end in ends.items() if end > 1}
            await admin.delete_records({place: RecordsToDelete(offset) for place, offset in before.items()})
    finally:
        await admin.close()
        await consumer.stop()


# -- planting ----------------------------------------------------------------------------------------------------------


async def plant(kafka_url: str, ours: Installation) -> set[tuple[str, str, int, int]]:
    """A loss, a hole, a duplicate, a row that is gone, and one that waits, which is no fault; gives what is to be named."""
    where, user = kafka_url.removeprefix("kafka://"), b"planted"
    number = partition_of(user, 8)
    producer = AIOKafkaProducer(bootstrap_servers=where)
    await producer.start()
    try:

        async def send(topic: str, body: bytes) -> Any:
            return await producer.send_and_wait(topic, body, key=user, partition=number)

        async def event(id: str, **more: str) -> tuple[bytes, Any]:
            body = value(id=id, subject="planted", **more)
            return body, await send(names.EVENTS, body)

        _, lost = await event("lost")
        body, sent = await event("doubled")
        await send(names.LOG, log_value(body, 1, "logged", sent.timestamp / 1000))
        twice = await send(names.LOG, log_value(body, 2, "logged", sent.timestamp / 1000))
        body, sent = await event("behind a hole")
        hole = await send(names.LOG, log_value(body, 4, "logged", sent.timestamp / 1000))
        body, sent = await event("waits", sequence="2")
        source = order.Source(waiting=(order.Waiting(2, b"1234", sent.timestamp / 1000, body),))
        await send(names.USERS_CHANGELOG, order.encode(order.State(4, {"/web": source}), sent.offset))
    finally:
        await producer.stop()
    await commit(where, TopicPartition(names.EVENTS, number), sent.offset + 1)
    gone = ours.rows("select user_id, position, kafka_partition, kafka_offset from activity order by kafka_offset desc limit 1")[
        0
    ]
    with sqlite3.connect(ours.store) as database:
        database.execute("delete from activity where user_id = ? and position = ?", gone[:2])
    database.close()
    return {
        ("lost", names.EVENTS, number, lost.offset),
        ("twice", names.LOG, number, twice.offset),
        ("hole", names.LOG, number, hole.offset),
        ("not-stored", names.LOG, gone[2], gone[3]),
    }


async def commit(where: str, place: TopicPartition, offset: int) -> None:
    """As the worker would have."""
    consumer = AIOKafkaConsumer(bootstrap_servers=where, group_id=names.APP, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([place])
        await consumer.commit({place: offset})
    finally:
        await consumer.stop()

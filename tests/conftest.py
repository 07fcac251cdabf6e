"""Real brokers for the tests that ask for them: `kafka_url`, `rabbit_url` (one for all), `private_kafka`, `private_rabbitmq`.

They start when the first test needs them: in Docker where an engine answers, else as private local ones. A
`CHOPAR_KAFKA_URL` or `CHOPAR_RABBIT_URL` in the environment wins. A broker that can't be started fails the tests;
`CHOPAR_SKIP_BROKERS=1` skips them instead, but not where `CI=true`.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import pytest

from activity.errors import ChoparError
from brokers import compose, ports, probe
from brokers.compose import Compose
from brokers.kafka import Kafka
from brokers.node import Broker, Node
from brokers.rabbitmq import RabbitMQ
from tests.nodes import RABBIT_ROOT, rabbitmq_node

T = TypeVar("T")
B = TypeVar("B", bound=Broker)

# Taken out of the environment: they are ours, and Chopar refuses a CHOPAR_ variable that it does not know.
SKIP: Final = os.environ.pop("CHOPAR_SKIP_BROKERS", "") == "1" and os.environ.get("CI") != "true"

HEAP_MB: Final = 128
MARKS: Final = {"kafka": {"kafka_url", "private_kafka"}, "rabbitmq": {"rabbit_url", "private_rabbitmq", "disturbed_rabbitmq"}}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for a broker has its mark."""
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        for mark, fixtures in MARKS.items():
            if names & fixtures:
                item.add_marker(mark)


@pytest.fixture(scope="session")
def kafka_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`kafka://127.0.0.1:port` of one Kafka for all tests: use topic and group names of your own."""
    if given := os.environ.get("CHOPAR_KAFKA_URL"):
        yield given
    elif _docker_answers():
        yield from _kafka_container()
    else:
        yield from _session(_kafka(tmp_path_factory.mktemp("kafka")))


@pytest.fixture(scope="session")
def rabbit_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`amqp://guest:guest@127.0.0.1:port/` of one RabbitMQ for all tests: use a virtual host or queue names of your own."""
    if given := os.environ.get("CHOPAR_RABBIT_URL"):
        yield given
    elif _docker_answers() and not RABBIT_ROOT:
        yield from _rabbit_container()
    else:
        yield from _session(rabbitmq_node(tmp_path_factory.mktemp("rabbitmq")))


@pytest.fixture
async def private_kafka(tmp_path: Path) -> AsyncIterator[Node[Kafka]]:
    """A running Kafka of the test's own, to `stop()`, `kill()` and `start()` again: same URL, same data."""
    async for node in _private(_kafka(tmp_path / "private-kafka")):
        yield node


@pytest.fixture
async def private_rabbitmq(tmp_path: Path) -> AsyncIterator[Node[RabbitMQ]]:
    """A running RabbitMQ of the test's own, to `stop()`, `kill()` and `start()` again: same URL, same data."""
    async for node in _private(rabbitmq_node(tmp_path / "private-rabbitmq")):
        yield node


@pytest.fixture(scope="session")
def disturbed_rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node[RabbitMQ]]:
    """A running RabbitMQ for tests that disturb it and leave it well: alarms, connections that it closes."""
    node = rabbitmq_node(tmp_path_factory.mktemp("disturbed-rabbitmq"))
    for _ in _session(node):
        yield node


def _kafka(folder: Path) -> Node[Kafka]:
    return Node(Kafka(folder, heap_mb=HEAP_MB, maven_url=os.environ.get("CHOPAR_MAVEN_URL")), folder / "node.json")


def _session(node: Node[B]) -> Iterator[str]:
    try:
        _run(node.start())
    except ChoparError as error:
        _unavailable(error)
    try:
        yield node.url
    finally:
        _run(node.stop())


async def _private(node: Node[B]) -> AsyncIterator[Node[B]]:
    try:
        await node.start()
    except ChoparError as error:
        _unavailable(error)
    try:
        yield node
    finally:
        await node.kill()


def _unavailable(error: Exception) -> NoReturn:
    if SKIP:
        pytest.skip(f"CHOPAR_SKIP_BROKERS=1: {error}")
    pytest.fail(str(error), pytrace=False)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Runs it in a thread: this one may have an event loop that belongs to pytest-asyncio."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


# -- Docker ------------------------------------------------------------------------------------------------------------


def _docker_answers() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        return _run(Compose(Path(folder)).engine_answers())


def _kafka_container() -> Iterator[str]:
    port = ports.choose(1)[0]
    listeners = {
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_NODE_ID": "1",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{ports.HOST}:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }
    yield from _container(compose.KAFKA_IMAGE, 9092, port, listeners, lambda: probe.kafka(port), f"kafka://{ports.HOST}:{port}")


def _rabbit_container() -> Iterator[str]:
    port = ports.choose(1)[0]
    url = f"amqp://guest:guest@{ports.HOST}:{port}/"
    yield from _container(compose.RABBIT_IMAGE, 5672, port, {}, lambda: probe.amqp(port), url)


def _container(
    image: str, inside: int, port: int, environment: dict[str, str], ready: Callable[[], Awaitable[bool]], url: str
) -> Iterator[str]:
    from testcontainers.core.container import DockerContainer  # only here: it looks for an engine when imported

    container = DockerContainer(image).with_bind_ports(inside, port).with_envs(**environment)
    try:
        container.start()
        _run(_until(ready))
    except Exception as error:  # noqa: BLE001 - whatever Docker's client raises, the tests can't run
        container.stop()
        _unavailable(error)
    try:
        yield url
    finally:
        container.stop()


async def _until(ready: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(120):
        while not await ready():  # noqa: ASYNC110 - a port has no event to wait for
            await asyncio.sleep(0.1)

"""What RabbitMQ's management API says, from a real broker; and what is said when it can't be asked."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from activity.names import BULK_QUEUE, JOBS_EXCHANGE, LIFECYCLE_EXCHANGE, RETRY_EXCHANGE, TRANSACTIONAL_QUEUE, delay_queue
from brokers.node import Node
from brokers.rabbitmq import RabbitMQ
from rabbit import topology
from rabbit.management import Unseen, management_url, watch_wiring
from rabbit.wiring import DECLARED, Wiring, bound, compare, missing
from tests.rabbit import broker

AUDIT = "test.audit"


async def look(rabbit_url: str, url: str | None) -> Wiring | Unseen:
    async with aclosing(watch_wiring(rabbit_url, url, 60.0)) as found:
        async for one in found:
            return one
    raise AssertionError


@pytest.fixture
async def node(disturbed_rabbitmq: Node[RabbitMQ]) -> AsyncIterator[Node[RabbitMQ]]:
    """Everything declared, before and after."""
    await topology.declare(disturbed_rabbitmq.url)
    yield disturbed_rabbitmq
    await topology.declare(disturbed_rabbitmq.url)
    async with broker.opened(disturbed_rabbitmq.url) as channel:
        await channel.queue_delete(AUDIT)


async def test_what_is_bound_is_told_and_what_differs_is_found(node: Node[RabbitMQ]) -> None:
    url = node.broker.management_url
    declared = await look(node.url, url)
    assert isinstance(declared, Wiring)
    assert declared.exchanges == topology.EXCHANGES
    assert list(missing(declared)) == []
    assert {line.where for line in compare(declared)} == {"both"}
    async with broker.opened(node.url) as channel:
        bulk = await channel.get_queue(BULK_QUEUE)
        await bulk.unbind(JOBS_EXCHANGE, "email.bulk.#")
        delay = await channel.get_queue(delay_queue(4))
        await delay.unbind(RETRY_EXCHANGE, "", arguments={"x-match": "all", "chopar-delay": 4})
        await (await channel.declare_queue(AUDIT, durable=True)).bind(JOBS_EXCHANGE, "#")
        listener = await channel.declare_queue(exclusive=True)
        await listener.bind(LIFECYCLE_EXCHANGE)
        found = await look(node.url, url)
    assert isinstance(found, Wiring)
    assert [(line.binding, line.where) for line in compare(found) if line.where != "both"] == [
        (bound(JOBS_EXCHANGE, BULK_QUEUE, "email.bulk.#", {}), "declared"),
        (bound(RETRY_EXCHANGE, delay_queue(4), "", {"x-match": "all", "chopar-delay": 4}), "declared"),
        (bound(JOBS_EXCHANGE, AUDIT, "#", {}), "broker"),
    ]
    assert list(missing(found)) == ["binding chopar.jobs to email.bulk", "binding chopar.retry to chopar.retry.4s"]
    assert found.listeners(LIFECYCLE_EXCHANGE) == 1


async def test_an_exchange_that_is_gone_is_named(node: Node[RabbitMQ]) -> None:
    async with broker.opened(node.url) as channel:
        await channel.exchange_delete(JOBS_EXCHANGE)
    found = await look(node.url, node.broker.management_url)
    assert isinstance(found, Wiring)
    assert list(missing(found))[:2] == [f"exchange {JOBS_EXCHANGE}", f"binding {JOBS_EXCHANGE} to {TRANSACTIONAL_QUEUE}"]


@pytest.mark.parametrize(
    ("status", "answer", "told"),
    [
        (200, {"cluster_name": "rabbit@other"}, "is the RabbitMQ rabbit@other, not "),
        (404, {}, "is no RabbitMQ, not "),
        (401, {}, "needs the tag `management`"),
        (500, {}, "answered 500"),
        (200, ["?"], "did not answer as RabbitMQ does"),
    ],
)
async def test_what_does_not_answer_as_our_broker_is_no_broker_without_bindings(
    rabbit_url: str, status: int, answer: Any, told: str
) -> None:
    async def show(request: web.Request) -> web.Response:
        return web.json_response(answer, status=status)

    application = web.Application()
    application.router.add_get("/api/overview", show)
    async with TestServer(application) as server:
        url = f"http://me:secret@127.0.0.1:{server.port}/"
        found = await look(rabbit_url, url)
    assert isinstance(found, Unseen)
    assert told in found.problem
    assert "CHOPAR_RABBIT_MANAGEMENT_URL" in found.problem
    assert "secret" not in found.problem


async def test_a_broker_that_is_away_is_said_to_be() -> None:
    found = await look("amqp://me:secret@127.0.0.1:1/", None)
    assert isinstance(found, Unseen)
    assert found.problem.startswith("CHOPAR_RABBIT_URL: no answer from 127.0.0.1:1")


async def test_a_port_at_which_nobody_listens_is_named(rabbit_url: str) -> None:
    found = await look(rabbit_url, "http://127.0.0.1:1")
    assert isinstance(found, Unseen)
    assert found.problem.startswith("http://127.0.0.1:1 does not answer")


def test_without_a_setting_it_is_asked_at_rabbitmqs_own_port() -> None:
    assert management_url("amqp://u:p@r.example:5673/v") == "http://r.example:15672"
    assert management_url("amqps://r.example/") == "https://r.example:15671"
    assert management_url("amqp://[::1]/") == "http://[::1]:15672"


def test_arguments_are_equal_in_any_order() -> None:
    assert bound("e", "q", "", {"a": 1, "b": "x"}) == bound("e", "q", "", {"b": "x", "a": 1})
    assert bound("e", "q", "", {"a": 1}).label == "a = 1"
    assert DECLARED.bindings[0].label == "email.transactional.#"

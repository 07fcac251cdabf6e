"""Filtering is done by the broker, by the routing key, before a message reaches a queue: a consumer isn't sent what it
doesn't want. Chopar's key is `email.<class>.<rule>`; by its second word bulk mail gets a queue of its own and can't delay the
rest.
"""

import pytest
from aio_pika import ExchangeType

from chopar.lab.rabbit import Lab, letter

LEVELS = ["debug", "info", "warning", "error"]


async def test_a_consumer_of_errors_gets_only_errors(lab: Lab) -> None:
    """Three programs log at four levels. One queue takes warnings and errors of all, another all of the shop; what
    neither wants is in no queue."""
    exchange = await lab.exchange(ExchangeType.TOPIC)
    alarms, shop = await lab.queue("alarms"), await lab.queue("shop")
    await alarms.bind(exchange, "*.warning")
    await alarms.bind(exchange, "*.error")
    await shop.bind(exchange, "shop.#")

    keys = [f"{program}.{level}" for program in ["shop", "mailer", "search"] for level in LEVELS]
    for key in keys:
        await exchange.publish(letter(key), routing_key=key, mandatory=False)

    assert await lab.empty(alarms) == [key for key in keys if key.endswith((".warning", ".error"))]
    assert await lab.empty(shop) == [f"shop.{level}" for level in LEVELS]


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("email.bulk.news", {"email.bulk.news"}),
        ("email.*.news", {"email.bulk.news", "email.transactional.news"}),
        ("email.*", {"email.bulk"}),
        ("email.#", {"email", "email.bulk", "email.bulk.news", "email.bulk.news.may", "email.transactional.news"}),
        ("#.news", {"email.bulk.news", "email.transactional.news", "news"}),
        ("*", {"email", "news"}),
        ("email.bul*", set()),
    ],
)
async def test_what_a_pattern_matches(lab: Lab, pattern: str, matched: set[str]) -> None:
    """`*` is exactly one whole word, `#` is none, one or more. A part of a word can't be matched: `bul*` is a word like
    another."""
    exchange, queue = await lab.exchange(ExchangeType.TOPIC), await lab.queue()
    await queue.bind(exchange, pattern)

    for key in [
        "email",
        "email.bulk",
        "email.bulk.news",
        "email.bulk.news.may",
        "email.transactional.news",
        "news",
        "emails.bulk.may",
    ]:
        await exchange.publish(letter(key), routing_key=key, mandatory=False)

    assert set(await lab.empty(queue)) == matched


async def test_a_queue_gets_a_message_once_however_many_bindings_match(lab: Lab) -> None:
    """A queue is bound with three patterns and all of them match. It is in or out, not counted: ten messages are sent,
    ten are there."""
    exchange, queue = await lab.exchange(ExchangeType.TOPIC), await lab.queue()
    for pattern in ["email.#", "#.news", "email.bulk.*"]:
        await queue.bind(exchange, pattern)

    for number in range(10):
        await exchange.publish(letter(f"news {number}"), routing_key="email.bulk.news")

    assert await lab.empty(queue) == [f"news {number}" for number in range(10)]


async def test_a_binding_that_was_taken_away_filters_no_more(lab: Lab) -> None:
    """A queue is bound for bulk mail and then unbound. What lies in it stays; what comes later is not for it."""
    exchange, queue = await lab.exchange(ExchangeType.TOPIC), await lab.queue()
    await queue.bind(exchange, "email.bulk.*")
    for number in range(5):
        await exchange.publish(letter(f"news {number}"), routing_key="email.bulk.news")

    await queue.unbind(exchange, "email.bulk.*")
    for number in range(5, 10):
        await exchange.publish(letter(f"news {number}"), routing_key="email.bulk.news", mandatory=False)

    assert await lab.empty(queue) == [f"news {number}" for number in range(5)]

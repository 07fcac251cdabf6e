"""Nobody sends into a queue. A message goes to an exchange with a routing key; bindings say which queues get a copy. A
*direct* exchange compares the key, a *topic* exchange matches it word by word, a *fanout* exchange ignores it. So a sender
need not know who listens. Chopar's jobs go to the topic exchange `chopar.jobs`.
"""

from collections.abc import Iterable

from aio_pika import ExchangeType
from aio_pika.abc import AbstractExchange

from chopar.lab.rabbit import Lab, letter, numbered

KEYS = ["email.welcome", "email.invoice", "sms.welcome", "email.welcome.vip", "push"] * 2


async def test_a_direct_exchange_compares_the_key(lab: Lab) -> None:
    """Two queues, each bound with one key. Of ten messages each gets the two that have just this key, and the others,
    for which there is no binding, go nowhere."""
    exchange = await lab.exchange(ExchangeType.DIRECT)
    welcomes, invoices = await lab.queue(), await lab.queue()
    await welcomes.bind(exchange, "email.welcome")
    await invoices.bind(exchange, "email.invoice")

    await _send_each(exchange, KEYS)

    assert await lab.empty(welcomes) == ["email.welcome"] * 2
    assert await lab.empty(invoices) == ["email.invoice"] * 2


async def test_a_topic_exchange_matches_word_by_word(lab: Lab) -> None:
    """Keys are words with dots between them; `*` stands for one word, `#` for any number. A queue for emails, one for
    emails of one more word, one for whatever is a welcome, and one for all get what their patterns say."""
    exchange = await lab.exchange(ExchangeType.TOPIC)
    emails, short_emails, welcomes, all_of_them = [await lab.queue() for _ in range(4)]
    await emails.bind(exchange, "email.#")
    await short_emails.bind(exchange, "email.*")
    await welcomes.bind(exchange, "*.welcome")
    await all_of_them.bind(exchange, "#")

    await _send_each(exchange, KEYS)

    assert await lab.empty(emails) == ["email.welcome", "email.invoice", "email.welcome.vip"] * 2
    assert await lab.empty(short_emails) == ["email.welcome", "email.invoice"] * 2
    assert await lab.empty(welcomes) == ["email.welcome", "sms.welcome"] * 2
    assert await lab.empty(all_of_them) == KEYS


async def test_a_fanout_exchange_ignores_the_key(lab: Lab) -> None:
    """Three queues are bound to it. Each gets all ten messages, whatever their keys: this is how one message reaches
    several programs of different kinds."""
    exchange = await lab.exchange(ExchangeType.FANOUT)
    queues = [await lab.queue() for _ in range(3)]
    for queue in queues:
        await queue.bind(exchange)

    await _send_each(exchange, KEYS)

    for queue in queues:
        assert await lab.empty(queue) == KEYS


async def test_the_default_exchange_knows_each_queue_by_its_name(lab: Lab) -> None:
    """To send "into a queue" is to send to the exchange without a name: a direct one, to which each queue is bound with
    its own name as the key. The other queue gets nothing."""
    queue, other = await lab.queue(), await lab.queue()

    for body in numbered(1, 10):
        await lab.channel.default_exchange.publish(letter(body), routing_key=queue.name)

    assert await lab.empty(queue) == numbered(1, 10)
    assert await lab.empty(other) == []


async def test_a_queue_gets_nothing_from_before_it_was_bound(lab: Lab) -> None:
    """An exchange keeps no messages. A queue that is bound after the fifth begins with the sixth; so programs declare
    and bind before anybody sends, as Chopar does at start."""
    exchange = await lab.exchange(ExchangeType.FANOUT)
    early, late = await lab.queue(), await lab.queue()
    await early.bind(exchange)

    await _send_each(exchange, numbered(1, 5))
    await late.bind(exchange)
    await _send_each(exchange, numbered(6, 10))

    assert await lab.empty(early) == numbered(1, 10)
    assert await lab.empty(late) == numbered(6, 10)


async def _send_each(exchange: AbstractExchange, keys: Iterable[str]) -> None:
    """A message for each key, with the key as its body. `mandatory=False`: it is no error that nobody wants it."""
    for key in keys:
        await exchange.publish(letter(key), routing_key=key, mandatory=False)

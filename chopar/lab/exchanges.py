"""One message, three kinds of exchanges: the broker decides by key and binding which queues get it."""

from collections.abc import Sequence
from typing import Final

from aio_pika import ExchangeType
from aio_pika.exceptions import DeliveryError

from chopar.lab.rabbit import Lab, letter
from chopar.lab.teller import Teller

KEYS: Final = ("email.transactional.welcome", "email.bulk.news", "sms.bulk.news")
KINDS: Final = (
    (ExchangeType.DIRECT, "compares the key", ("email.bulk.news", "sms.bulk.news")),
    (
        ExchangeType.TOPIC,
        "matches it word by word: * is one word, # any number",
        ("email.transactional.#", "email.#", "*.bulk.*"),
    ),
    (ExchangeType.FANOUT, "ignores it", ("queue 1", "queue 2")),
)


async def exchanges(lab: Lab, teller: Teller, *, keys: Sequence[str]) -> None:
    """Sends one message with each of `keys` to an exchange of each kind."""
    nowhere = 0
    teller.tell(f"To each exchange {len(keys)} messages are sent, with the keys {', '.join(keys)}.")
    for kind, rule, bindings in KINDS:
        await teller.step(
            f"A {kind.value} exchange {rule}. Which queue gets what? They are bound with\n    {'    '.join(bindings)}"
        )
        exchange = await lab.exchange(kind)
        queues = [await lab.queue() for _ in bindings]
        for queue, binding in zip(queues, bindings, strict=True):
            await queue.bind(exchange, binding)
        returned = set()
        for key in keys:
            try:
                await exchange.publish(letter(key), routing_key=key, mandatory=True)
            except DeliveryError:
                returned.add(key)
        got = [await lab.empty(queue) for queue in queues]
        rows = [[key, *("x" if key in held else "" for held in got), "returned" if key in returned else ""] for key in keys]
        teller.rows(["sent with key", *bindings, "no queue"], rows)
        nowhere += len(returned)
    teller.showed(
        f"a sender names a key, not a queue. {nowhere} of {len(keys) * len(KINDS)} messages had no queue and came back, since\n"
        "they were sent as mandatory; else they would be gone without a word."
    )

"""A message that fails should neither block the others nor be tried without a pause nor be lost. A delay queue does it:
a queue without consumers whose messages expire (TTL) and are then dead-lettered, back to where the work is. After so many
attempts a message goes to the dead letter queue, for a person. Chopar has a delay queue for each power of two of seconds,
counts the attempts in a header of its own, and calls its last queue `email.dead`.
"""

from collections import Counter
from typing import Any, cast

from aio_pika.abc import AbstractIncomingMessage, HeadersType

from chopar.lab.rabbit import Lab, deliveries, in_hand, letter, numbered, text

ATTEMPTS = 3
DELAY_MS = 100


async def test_a_rejected_message_is_dead_lettered(lab: Lab) -> None:
    """A queue names where its rejected messages go. Ten come, three are refused: these lie in the dead letter queue, and
    their header `x-death` says from which queue and why."""
    dead = await lab.queue("dead")
    work = await lab.queue("work", _dead_letters_to(dead.name))
    await lab.send(work, numbered(1, 10))
    refused = {"m02", "m05", "m09"}

    for _ in range(10):
        message = await work.get()
        await (message.reject(requeue=False) if text(message) in refused else message.ack())

    letters = await lab.take(dead, 3)
    assert {text(message) for message in letters} == refused
    assert [_deaths(message) for message in letters] == [{(work.name, "rejected"): 1}] * 3


async def test_a_message_waits_in_a_delay_queue(lab: Lab) -> None:
    """Ten messages are put into a queue that nobody consumes. Each expires after its time and is dead-lettered to the
    work queue, in the same order: a delay, made of two things that every queue has."""
    work = await lab.queue("work")
    delay = await lab.queue("delay", {**_dead_letters_to(work.name), "x-message-ttl": DELAY_MS})

    await lab.send(delay, numbered(1, 10))

    back = await lab.take(work, 10)
    assert [text(message) for message in back] == numbered(1, 10)
    assert [_deaths(message) for message in back] == [{(delay.name, "expired"): 1}] * 10
    assert await lab.ready(delay) == 0


async def test_retries_counted_by_the_broker(lab: Lab) -> None:
    """The work queue dead-letters to the delay queue and that one back: a reject is a retry with a pause. RabbitMQ counts
    each message's rounds in `x-death`. One of ten fails always; it is tried three times and then put aside, while the
    other nine were done at their first attempt."""
    work_name = lab.name("work")
    delay = await lab.queue("delay", {**_dead_letters_to(work_name), "x-message-ttl": DELAY_MS})
    work = await lab.queue("work", _dead_letters_to(delay.name), name=work_name)
    dead = await lab.queue("dead")
    await lab.send(work, numbered(1, 10))
    attempts: Counter[str] = Counter()

    async with lab.consumer(prefetch=1) as channel:
        inbox = await deliveries(await channel.get_queue(work.name))
        for _ in range(9 + ATTEMPTS):
            (message,) = await in_hand(inbox, 1)
            attempts[text(message)] += 1
            if text(message) != "m04":
                await message.ack()
            elif _deaths(message).get((work.name, "rejected"), 0) + 1 < ATTEMPTS:
                await message.reject(requeue=False)
            else:
                await lab.send(dead, [text(message)])  # and wait for the confirm,
                await message.ack()  # only then let go of it

    assert attempts == Counter(dict.fromkeys(numbered(1, 10), 1) | {"m04": ATTEMPTS})
    assert await lab.empty(dead) == ["m04"]
    assert await lab.ready(work) == await lab.ready(delay) == 0


async def test_retries_counted_by_ourselves(lab: Lab) -> None:
    """The other way: the worker publishes the message anew, into the delay queue, with the number of the next attempt in
    a header, and acknowledges the old one after the confirm. It chooses what counts as an attempt, which delay, and what
    else to note; a crash between the two gives a repeat, never a loss."""
    work, dead = await lab.queue("work"), await lab.queue("dead")
    delay = await lab.queue("delay", {**_dead_letters_to(work.name), "x-message-ttl": DELAY_MS})
    await lab.send(work, numbered(1, 10))
    seen: list[tuple[str, int]] = []

    async def fail(message: AbstractIncomingMessage) -> None:
        attempt, again = _attempt(message), delay
        headers: HeadersType = {"attempt": attempt + 1}
        if attempt == ATTEMPTS:
            again, headers = dead, {"attempt": attempt, "reason": "spent"}
        await lab.channel.default_exchange.publish(letter(text(message), headers), routing_key=again.name)

    async with lab.consumer(prefetch=1) as channel:
        inbox = await deliveries(await channel.get_queue(work.name))
        for _ in range(9 + ATTEMPTS):
            (message,) = await in_hand(inbox, 1)
            seen.append((text(message), _attempt(message)))
            if text(message) == "m04":
                await fail(message)
            await message.ack()

    assert [attempt for body, attempt in seen if body == "m04"] == [1, 2, 3]
    assert sorted(seen) == sorted([(body, 1) for body in numbered(1, 10)] + [("m04", 2), ("m04", 3)])
    (put_aside,) = await lab.take(dead, 1)
    assert text(put_aside) == "m04"
    assert put_aside.headers["attempt"] == 3
    assert put_aside.headers["reason"] == "spent"


async def test_a_failure_that_passes_costs_only_time(lab: Lab) -> None:
    """The mail server is away for each message's first attempt. All ten are tried again after the delay and then succeed;
    the dead letter queue stays empty, and nobody had to look."""
    work, dead = await lab.queue("work"), await lab.queue("dead")
    delay = await lab.queue("delay", {**_dead_letters_to(work.name), "x-message-ttl": DELAY_MS})
    await lab.send(work, numbered(1, 10))
    done: list[str] = []

    async with lab.consumer(prefetch=1) as channel:
        inbox = await deliveries(await channel.get_queue(work.name))
        for _ in range(20):
            (message,) = await in_hand(inbox, 1)
            if _attempt(message) == 1:
                again = letter(text(message), {"attempt": 2})
                await lab.channel.default_exchange.publish(again, routing_key=delay.name)
            else:
                done.append(text(message))
            await message.ack()

    assert done == numbered(1, 10)
    assert await lab.ready(dead) == 0


def _dead_letters_to(queue: str) -> dict[str, str | int]:
    """Arguments of a queue whose rejected or expired messages go to another, through the exchange without a name."""
    return {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue}


def _deaths(message: AbstractIncomingMessage) -> dict[tuple[str, str], int]:
    """What RabbitMQ wrote into `x-death`: how often the message left which queue, and why."""
    deaths = cast(list[dict[str, Any]], message.headers.get("x-death", []))
    return {(death["queue"], death["reason"]): death["count"] for death in deaths}


def _attempt(message: AbstractIncomingMessage) -> int:
    """The number of this attempt, by our own header."""
    return cast(int, message.headers.get("attempt", 1))

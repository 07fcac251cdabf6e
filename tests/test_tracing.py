"""Tracing, end to end: real processes over real brokers, told by `OTEL_` variables alone where their spans go."""

import asyncio
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer

from tests.collector import Collector, Seen, collecting
from tests.installation import Installation
from tests.processes import NOTIFIER
from tests.rabbit.inbox import Inbox

TYPE = "user.password_reset_requested"
KEY = "email.transactional.password_reset"
ATTEMPT = f"process chopar.jobs:{KEY}:email.transactional"
WORDS = "451 4.7.1 not now, Ann"

UNTIL_THE_JOB = [
    "chopar-worker consumer: process activity.events",
    "  chopar-worker producer: send activity.log",
    "    chopar-notifier consumer: process activity.log",
    f"      chopar-notifier producer: send chopar.jobs:{KEY}",
    f"        chopar-mailer consumer: {ATTEMPT}",
    "          chopar-mailer client: smtp send",
]
AGAIN = [
    f"          chopar-mailer producer: send chopar.retry:{KEY}",
    f"            chopar-mailer consumer: {ATTEMPT}",
    "              chopar-mailer client: smtp send",
]
ARCHIVED = ["    chopar-worker consumer: process activity.log"]
REFUSED = [
    "chopar-worker consumer: process activity.events",
    "  chopar-worker producer: send activity.dead",
    "    chopar-worker consumer: process activity.dead",
]


class Sender:
    """Who sends an event, and the trace it is in."""

    def __init__(self, run: str, name: str, *, sampled: bool = True) -> None:
        self.user, self.address = f"{run}-{name}", f"{run}-{name}@shop.example"
        self.trace, self.span = uuid.uuid4().hex, uuid.uuid4().hex[:16]
        self.traceparent = f"00-{self.trace}-{self.span}-{'01' if sampled else '00'}"

    def event(self, **more: str) -> dict[str, Any]:
        """It makes a mail."""
        data = {"email": self.address, "name": "Ann", "link": "https://shop.example/r"}
        kind = {"specversion": "1.0", "source": "/web", "type": TYPE}
        return {**kind, "id": uuid.uuid4().hex, "subject": self.user, "data": data, **more}


async def test_one_trace_from_the_event_to_each_attempt_at_its_mail(kafka_url: str, rabbit_url: str, tmp_path: Path) -> None:
    run = f"t{uuid.uuid4().hex[:8]}"
    attribute, header, broken = Sender(run, "attribute"), Sender(run, "header"), Sender(run, "broken")
    unsampled, untraced = Sender(run, "unsampled", sampled=False), Sender(run, "untraced")
    async with Inbox() as inbox, collecting() as collector:
        inbox.replies[attribute.address] = [WORDS]
        otel = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        ours = Installation(tmp_path, kafka_url, rabbit_url, inbox.url, **otel)
        notifier = ours.process(NOTIFIER, "notifier", OTEL_BSP_SCHEDULE_DELAY="3600000")
        async with ours.running(ours.worker, notifier, ours.mailer):
            event = attribute.event(traceparent=attribute.traceparent)
            await send(kafka_url, attribute.user, event)
            await send(kafka_url, header.user, header.event(), header.traceparent)
            await send(kafka_url, broken.user, {"specversion": "1.0"}, broken.traceparent)
            await send(kafka_url, unsampled.user, unsampled.event(traceparent=unsampled.traceparent))
            await send(kafka_url, untraced.user, untraced.event())
            await inbox.received(4)
            assert await asyncio.to_thread(notifier.stop) == 0, "its spans are sent when it stops"
            for sender, story in (
                (attribute, UNTIL_THE_JOB + AGAIN + ARCHIVED),
                (header, UNTIL_THE_JOB + ARCHIVED),
                (broken, REFUSED),
            ):
                await collector.until(partial(tells, sender, story), sender.user)
    check_attributes(collector.trace(attribute.trace), event["id"])
    check_chunks(collector, attribute)
    assert collector.trace(unsampled.trace) == [], "who began the trace does not want it recorded"
    assert sum(span.name == ATTEMPT for span in collector.spans) == 3, "an event without a trace has no spans of its own"
    sent = b"".join(collector.bodies)
    for secret in (run, "@shop.example", "Ann", "not now", "https://shop.example"):
        assert secret.encode() not in sent, "no user, address, payload or server's words leave by a span"


async def send(kafka_url: str, user: str, event: dict[str, Any], header: str = "") -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka_url.removeprefix("kafka://"))
    await producer.start()
    try:
        headers = [("traceparent", header.encode())] if header else []
        await producer.send_and_wait("activity.events", msgspec.json.encode(event), key=user.encode(), headers=headers)
    finally:
        await producer.stop()


def tells(sender: Sender, story: list[str], collector: Collector) -> bool:
    return told(collector, sender) == sorted(story)


def told(collector: Collector, sender: Sender) -> list[str]:
    """The sender's trace, each span indented under its parent; in the order of the alphabet, since siblings have none."""
    spans = collector.trace(sender.trace)

    def under(parent: str, depth: int) -> Iterator[str]:
        for span in spans:
            if span.parent == parent:
                yield f"{'  ' * depth}{span.service} {span.kind}: {span.name}"
                yield from under(span.id, depth + 1)

    return sorted(under(sender.span, 0))


def check_attributes(spans: list[Seen], event_id: str) -> None:
    """By the semantic conventions, and those of Chopar."""
    taken, logged = named(spans, "process activity.events")[0], named(spans, "send activity.log")[0]
    kafka = {
        "messaging.system": "kafka",
        "cloudevents.event_id": event_id,
        "cloudevents.event_type": "user.password_reset_requested",
    }
    assert (
        taken.attributes.items()
        >= {
            **kafka,
            "messaging.operation.type": "process",
            "messaging.destination.name": "activity.events",
            "messaging.consumer.group.name": "chopar",
        }.items()
    )
    assert taken.attributes["messaging.destination.partition.id"] == logged.attributes["messaging.destination.partition.id"]
    assert isinstance(taken.attributes["messaging.kafka.offset"], int)
    assert logged.attributes.items() >= {**kafka, "messaging.operation.type": "send", "chopar.verdict": "logged"}.items()
    groups = {span.attributes["messaging.consumer.group.name"] for span in named(spans, "process activity.log")}
    assert groups == {"chopar", "chopar-notify"}
    first, second = named(spans, ATTEMPT)
    rabbit = {
        "messaging.system": "rabbitmq",
        "messaging.rabbitmq.destination.routing_key": KEY,
        "chopar.job.rule": "password_reset",
    }
    assert first.attributes.items() >= {**rabbit, "chopar.attempt": 1, "chopar.outcome": "retry", "error.type": "refused"}.items()
    assert second.attributes.items() >= {**rabbit, "chopar.attempt": 2, "chopar.outcome": "sent"}.items()
    assert (first.error, second.error) == (True, False)
    refused, accepted = named(spans, "smtp send")
    assert {"server.address", "server.port"} <= refused.attributes.keys()
    assert (refused.attributes["chopar.smtp.reply_code"], refused.attributes["error.type"], refused.error) == (451, "451", True)
    assert (accepted.attributes["chopar.smtp.reply_code"], accepted.error) == (250, False)
    (again,) = named(spans, f"send chopar.retry:{KEY}")
    assert again.attributes["chopar.attempt"] == 2


def check_chunks(collector: Collector, sender: Sender) -> None:
    """A chunk's span is a trace of its own, linked to those of its events."""
    (taken,) = (span for span in collector.spans if (sender.trace, sender.span) in span.links)
    assert (taken.name, taken.parent) == ("process activity.events", "")
    assert taken.attributes["messaging.batch.message_count"] >= 1
    (logged,) = named(collector.trace(sender.trace), "send activity.log")
    linked = [span for span in collector.spans if (sender.trace, logged.id) in span.links]
    assert {(span.service, span.name) for span in linked} == {
        ("chopar-worker", "process activity.log"),
        ("chopar-notifier", "process activity.log"),
    }


def named(spans: list[Seen], name: str) -> list[Seen]:
    """In the order in which they began."""
    return [span for span in spans if span.name == name]

"""The AsyncAPI document against the real thing: what the code writes and declares is what the document says."""

import re
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from activity import names
from activity.events import decode_log
from activity.jobs import encode_job
from console.asyncapi import PATH, asyncapi_route, describe
from rabbit.letters import first_letter
from rabbit.lifecycle import Change
from rabbit.topology import QUEUES
from streams.topics import wanted
from tests.activity.examples import Record, attributes, value
from tests.activity.partitions import Table, work
from tests.console.serving import serving
from tests.console.worlds import RULES, text_of

DOCUMENT: dict[str, Any] = describe(8)


def payload(channel: str, raw: bytes) -> list[str]:
    """What is wrong with `raw` as a message of `channel`."""
    (message,) = DOCUMENT["channels"][channel]["messages"]
    schema = {**DOCUMENT["components"]["messages"][message]["payload"], "components": DOCUMENT["components"]}
    return [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(msgspec.json.decode(raw))]


def test_what_is_written_is_what_is_described() -> None:
    event = value(type="user.signed_up", data={"email": "a@b.example"}, sequence="1", time="2026-01-31T09:30:00Z")
    step = work([Record(b"u-1", event), Record(b"u-1", b"junk", 1)], Table())
    ((_, logged),), ((_, _, headers),) = step.log, step.dead
    (job,), _ = RULES.jobs(decode_log(logged))
    assert payload(names.EVENTS, event) == []
    assert payload(names.LOG, logged) == []
    assert payload(names.JOBS_EXCHANGE, encode_job(job)) == []
    assert payload(names.DEAD_QUEUE, encode_job(job)) == []
    assert payload(names.LIFECYCLE_EXCHANGE, msgspec.json.encode(Change("j", "r", "u", "sent", 1, 1.0))) == []
    in_trace = msgspec.structs.replace(job, traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    assert described("refused") == {"traceparent", *(name for name, _ in headers)}
    assert described("job") == set(first_letter(in_trace).headers)
    assert described("event") == described("logged") == {"traceparent"}


def described(message: str) -> set[str]:
    """The headers that it may have."""
    return set(DOCUMENT["components"]["messages"][message]["headers"]["properties"])


@pytest.mark.parametrize("name", ["id", "source", "type", "subject", "specversion"])
def test_what_is_no_event_is_none_here_either(name: str) -> None:
    assert payload(names.EVENTS, msgspec.json.encode(attributes(**{name: None})))
    assert payload(names.LOG, value()), "an event is no record of the log"


def test_every_topic_and_queue_is_there_and_every_reference_leads_somewhere() -> None:
    channels = DOCUMENT["channels"]
    assert {name for name in channels if "kafka" in channels[name]["bindings"]} == {
        topic.name for topic in wanted(8) if topic.name != names.USERS_CHANGELOG
    }
    queues = {name for name, one in channels.items() if one["bindings"].get("amqp", {}).get("is") == "queue"}
    assert queues == {queue.name for queue in QUEUES}
    assert channels[names.JOBS_EXCHANGE]["address"] == "email.{class}.{rule}"
    for reference in re.findall(r'"\$ref":"#/([^"]+)"', text_of(DOCUMENT)):
        found: Any = DOCUMENT
        for part in reference.split("/"):
            found = found[part]
    assert {one["action"] for one in DOCUMENT["operations"].values()} == {"send", "receive"}


async def test_it_is_served() -> None:
    async with serving([asyncapi_route(8)]) as client:
        answer = await client.get(PATH)
        assert (answer.status, await answer.json()) == (200, DOCUMENT)

"""The AsyncAPI 3.0 document of topics and queues, written from the code's names and types; served at `/api/asyncapi.json`."""

from typing import Any, Final

import msgspec

from activity import names
from activity.events import LogRecord
from activity.jobs import Job
from console.routes import Call, Endpoint, NoQuery
from rabbit.lifecycle import Change
from rabbit.topology import EXCHANGES, QUEUES, Queue

PATH: Final = "/api/asyncapi.json"
_SCHEMAS: Final = "#/components/schemas/"
_ADDED: Final = ("position", "verdict", "received")
"""What a record of `activity.log` has beside its event."""
_ORIGIN: Final = tuple(f"{names.ERROR_HEADER}{what}" for what in ("exception", "message", "topic", "partition", "offset"))


def asyncapi_route(partitions: int) -> Endpoint:
    """The endpoint that serves the document."""
    document = describe(partitions)

    async def show(call: Call[NoQuery, None]) -> dict[str, Any]:
        return document

    return Endpoint(PATH, show, "Topics and queues, in AsyncAPI 3.0.", dict[str, Any])


def describe(partitions: int) -> dict[str, Any]:
    """The document, as JSON."""
    _, schemas = msgspec.json.schema_components([_logged(), Job, Change], ref_template=_SCHEMAS + "{name}")
    topics = {
        names.EVENTS: ("event", "Events in. The key is the user's id, and equals `subject`."),
        names.LOG: ("logged", "Events accepted, in each user's order. The key is the user's id."),
        names.DEAD: ("refused", "Records refused, key and value untouched; the headers say why and where each came from."),
    }
    channels = {
        **{name: _topic(name, message, text, partitions) for name, (message, text) in topics.items()},
        names.JOBS_EXCHANGE: _exchange(names.JOBS_EXCHANGE, names.routing_key("{class}", "{rule}"), "job"),
        names.LIFECYCLE_EXCHANGE: _exchange(names.LIFECYCLE_EXCHANGE, "job.{state}", "change"),
        **{queue.name: _queue(queue) for queue in QUEUES},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Chopar",
            "version": "1",
            "description": "User activity in, one ordered history out, and mails.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {"host": "kafka:9092", "protocol": "kafka"},
            "rabbitmq": {"host": "rabbitmq:5672", "protocol": "amqp"},
        },
        "channels": channels,
        "operations": {
            "takeEvents": _operation("receive", names.EVENTS, "The sequencer reads what applications send."),
            "logEvents": _operation("send", names.LOG, "The sequencer writes what it accepted."),
            "refuseRecords": _operation("send", names.DEAD, "The sequencer and the archiver write what they can't accept."),
            "publishJobs": _operation("send", names.JOBS_EXCHANGE, "The notifier publishes a job for each rule that matches."),
            "tellChanges": _operation("send", names.LIFECYCLE_EXCHANGE, "A mailer tells each change of a job's state."),
        },
        "components": {"schemas": {**schemas, "Event": _event(schemas["LogRecord"])}, "messages": _messages()},
    }


def _logged() -> type[msgspec.Struct]:
    """`LogRecord` with data of any type: msgspec has no schema for a struct whose default is bytes of JSON."""
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for field in msgspec.structs.fields(LogRecord):
        if field.required:
            fields.append((field.name, field.type))
        else:
            fields.append((field.name, Any if field.type is msgspec.Raw else field.type, None))
    return msgspec.defstruct("LogRecord", fields, namespace={"__doc__": LogRecord.__doc__})


def _event(logged: dict[str, Any]) -> dict[str, Any]:
    """An event is a record of the log without what is added there."""
    properties = {name: schema for name, schema in logged["properties"].items() if name not in _ADDED}
    required = [name for name in logged["required"] if name not in _ADDED]
    version = {"const": "1.0"}
    return {
        "title": "Event",
        "description": "A CloudEvent 1.0; other extensions pass through unread.",
        "type": "object",
        "properties": {**properties, "specversion": version},
        "required": [*required, "specversion"],
    }


def _messages() -> dict[str, Any]:
    place = {names.TRACE_HEADER: {"type": "string", "description": "W3C Trace Context, if it belongs to a trace."}}
    trace = {"type": "object", "properties": place}
    headers = {name: {"type": "string"} for name in (names.REASON_HEADER, *_ORIGIN)}
    job = {names.JOB_HEADER: {"type": "string"}, names.ATTEMPT_HEADER: {"type": "integer"}}
    refused = {"type": "object", "properties": headers | place}
    return {
        "event": {"contentType": "application/cloudevents+json", "headers": trace, "payload": {"$ref": f"{_SCHEMAS}Event"}},
        "logged": {"headers": trace, "payload": {"$ref": f"{_SCHEMAS}LogRecord"}},
        "refused": {"contentType": "application/octet-stream", "headers": refused, "payload": {}},
        "job": {"headers": {"type": "object", "properties": job | place}, "payload": {"$ref": f"{_SCHEMAS}Job"}},
        "change": {"payload": {"$ref": f"{_SCHEMAS}Change"}},
    }


def _topic(name: str, message: str, text: str, partitions: int) -> dict[str, Any]:
    bindings = {"kafka": {"topic": name, "partitions": partitions}}
    return _channel("kafka", name, message, bindings) | {"description": text}


def _exchange(name: str, key: str, message: str) -> dict[str, Any]:
    exchange = {"name": name, "type": EXCHANGES[name], "durable": True, "autoDelete": False, "vhost": "/"}
    parameters: dict[str, Any] = {one: {} for one in ("class", "rule", "state") if f"{{{one}}}" in key}
    return _channel("rabbitmq", key, message, {"amqp": {"is": "routingKey", "exchange": exchange}}) | {"parameters": parameters}


def _queue(queue: Queue) -> dict[str, Any]:
    described = {"name": queue.name, "durable": True, "exclusive": False, "autoDelete": False, "vhost": "/"}
    return _channel("rabbitmq", queue.name, "job", {"amqp": {"is": "queue", "queue": described}})


def _channel(server: str, address: str, message: str, bindings: dict[str, Any]) -> dict[str, Any]:
    return {
        "address": address,
        "servers": [{"$ref": f"#/servers/{server}"}],
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": bindings,
    }


def _operation(action: str, channel: str, summary: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}

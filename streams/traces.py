"""The spans of a chunk. Imported only where tracing is on.

    process activity.events   of the chunk, a trace of its own, linked to the events' traces
    process activity.events   of each event whose trace is recorded, in that trace
    send activity.log         of each such event that is sent on, under the one before; its place goes along as a header

An event that was taken up in an earlier chunk and let go in this one is sent on under its own place.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from msgspec.structs import replace
from opentelemetry.trace import Span

from activity import names
from activity.chunk import Chunk, Record
from activity.jobs import Job
from activity.redelivery import Again
from activity.sequencing import KeyValue, Pair, Step
from activity.ticks import tick_of
from activity.trace import Headers, Trace, Traced, read_traceparent, traced
from rabbit.letters import first_letter, in_trace
from rabbit.publisher import Outbox
from rabbit.redelivery import Send
from rabbit.spans import Attributes, Spans, end, ending, place_of
from rabbit.traced import TracedOutbox
from streams.tracing import SendEvent


class ChunkTraces:
    """What is recorded of the work on one chunk."""

    def __init__(self, spans: Spans, chunk: Chunk, group: str) -> None:
        self.spans, self._chunk = spans, chunk
        self._about = {"messaging.destination.partition.id": str(chunk.partition), "messaging.consumer.group.name": group}
        self._places: dict[tuple[str, str, str, str], Trace] = {}

    @contextmanager
    def open(self) -> Iterator[None]:
        """Spans of the chunk and of its records, from now to the end of the body. A chunk of nothing but ticks has none."""
        if all(tick_of(record) is not None for record in self._chunk):
            yield
            return
        found = [(record, one) for record in self._chunk if (one := traced(record.value, record.headers)) is not None]
        batch = self._process(
            {**self._about, "messaging.batch.message_count": len(self._chunk)}, links=[one.trace for _, one in found]
        )
        with ending([batch, *(self._record(record, one) for record, one in found)], current=batch):
            yield

    def around(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        """An agent's parts; those by which something is sent on, with spans."""
        over: dict[str, Callable[[Any, ChunkTraces], Any]] = {"outputs": TracedOutputs, "jobs": TracedJobs}
        return {name: over[name](part, self) if name in over else part for name, part in parts.items()}

    def parent(self, one: Traced) -> Trace:
        """The place of its record's span in this chunk, or else its own."""
        return self._places.get(one.event, one.trace)

    def _record(self, record: Record, one: Traced) -> Span:
        span = self._process({**self._about, "messaging.kafka.offset": record.offset, **about(one)}, parent=one.trace)
        if span.is_recording():
            self._places[one.event] = place_of(span)
        return span

    def _process(self, attributes: Attributes, *, parent: Trace | None = None, links: Sequence[Trace] = ()) -> Span:
        return self.spans.messaging("process", "kafka", self._chunk.topic, attributes, parent=parent, links=links)


class TracedOutputs:
    """As `streams.outputs.Outputs`: what is sent on of a recorded trace has a span, and its place as a header."""

    def __init__(self, outputs: Any, traces: ChunkTraces) -> None:
        self._outputs, self._traces = outputs, traces
        self.changelog = outputs.changelog

    async def deliver(self, chunk: Chunk, step: Step) -> None:
        """See `Outputs.deliver`. The spans end when all is confirmed."""
        spans: list[Span] = []
        sent = replace(
            step,
            log=cast(list[KeyValue], [self._sent(pair, names.LOG, chunk.partition, spans) for pair in step.log]),
            dead=cast(list[Pair], [self._sent(pair, names.DEAD, chunk.partition, spans) for pair in step.dead]),
            moved={
                partition: cast(list[Pair], [self._sent(pair, names.EVENTS, partition, spans) for pair in pairs])
                for partition, pairs in step.moved.items()
            },
        )
        with ending(spans):
            await self._outputs.deliver(chunk, sent)

    def _sent(self, pair: KeyValue | Pair, topic: str, partition: int, spans: list[Span]) -> KeyValue | Pair:
        headers: Headers = pair[2] if len(pair) > 2 else ()
        one = traced(pair[1], headers)
        if one is None:
            return pair
        attributes = {"messaging.destination.partition.id": str(partition), **about(one)}
        reason = next((value for name, value in headers if name == names.REASON_HEADER), None)
        if topic == names.DEAD and reason is not None:
            attributes["chopar.reason"] = reason.decode("ascii", "replace")
        span = self._traces.spans.messaging("send", "kafka", topic, attributes, parent=self._traces.parent(one))
        if not span.is_recording():
            return pair
        spans.append(span)
        return pair[0], pair[1], with_place(headers, span)


class TracedJobs:
    """As the notifier's `Jobs`, over an `Outbox`: a job is published under its event's span in this chunk."""

    def __init__(self, outbox: Outbox, traces: ChunkTraces) -> None:
        self._outbox, self._traces = TracedOutbox(outbox, traces.spans), traces

    async def publish(self, jobs: Sequence[Job]) -> None:
        """See `JobPublisher.publish`."""
        letters = []
        for job in jobs:
            place = read_traceparent(job.traceparent)
            letter = first_letter(job)
            if place is not None:
                event = job.event
                one = Traced(place, id=event["id"], source=event["source"], subject=event["subject"])
                letter = in_trace(str(self._traces.parent(one)), letter)
            letters.append(letter)
        await self._outbox.deliver(letters)


def with_span(send: Send, spans: Spans) -> Send:
    """As `send`, by which dead letters are replayed."""

    async def replay(again: Again) -> None:
        one = traced(again.value, again.headers)
        if one is None:
            await send(again)
            return
        span = spans.messaging("send", "kafka", names.EVENTS, about(one), parent=one.trace)
        with ending([span]):
            await send(replace(again, headers=with_place(again.headers, span)))

    return replay


def with_span_each(send: SendEvent, spans: Spans) -> SendEvent:
    """As `send`. An event whose trace is not recorded is let be."""

    async def send_event(topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> asyncio.Future[object]:
        one = traced(value, headers)
        if one is None and b'"traceparent"' in (value or b""):
            return await send(topic, key, value, headers)
        told, parent = ({}, None) if one is None else (about(one), one.trace)
        span = spans.messaging("send", "kafka", topic, told, parent=parent)
        try:
            confirmed = await send(topic, key, value, with_place(headers, span))
        except BaseException as error:
            end(span, error)
            raise
        confirmed.add_done_callback(lambda done: end(span, asyncio.CancelledError() if done.cancelled() else done.exception()))
        return confirmed

    return send_event


def about(one: Traced) -> dict[str, str | int]:
    """What a span tells of an event."""
    told = {"cloudevents.event_id": one.id, "cloudevents.event_type": one.type, "chopar.verdict": one.verdict}
    return {name: value for name, value in told.items() if value}


def with_place(headers: Headers, span: Span) -> list[tuple[str, bytes | None]]:
    """The headers with the place of `span`, if it is recorded."""
    if not span.is_recording():
        return list(headers)
    others = [header for header in headers if header[0] != names.TRACE_HEADER]
    return [*others, (names.TRACE_HEADER, str(place_of(span)).encode())]

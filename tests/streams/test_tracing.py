"""Tracing on the Faust side: what is recorded of a chunk, and what goes along with what is sent on."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan

from activity import names
from activity.chunk import Chunk
from activity.events import Event, Headers, log_value
from activity.jobs import Job
from activity.redelivery import Again
from activity.sequencing import Pair, Step
from activity.ticks import tick_value
from agents.desk import desk
from agents.patience import Lost
from rabbit.letters import Letter
from rabbit.tracing import Tracing
from streams.tracing import traced, traced_events, traced_replay
from tests.activity.examples import Record, chunk, value
from tests.agents.fakes import Diary, FakeOutputs
from tests.rabbit.orders import make_job
from tests.spans import PLACE, Recorder, not_recording, parent, place, tells

EVENT = value(traceparent=str(PLACE))
LOGGED = log_value(EVENT, 1, "logged", 0.0)
OTHER = msgspec.structs.replace(PLACE, trace_id="a" * 32)
ELSEWHERE = value(id="e-2", traceparent=str(OTHER))


async def worked(on: Tracing, given: Chunk, step: Step) -> Step:
    """What an agent sends on that makes `step` of the chunk."""
    outputs = FakeOutputs(Diary())

    async def work(chunk: Chunk, *, outputs: FakeOutputs) -> None:
        await outputs.deliver(chunk, step)
        await outputs.changelog(chunk, "users", {b"u-1": b""})
        chunk.done()

    await traced(work, on, "chopar")(given, outputs=outputs)
    assert outputs.states == {b"u-1": b""}
    return outputs.steps[0]


def header(pair: Any) -> bytes | None:
    return dict(pair[2] if len(pair) > 2 else ()).get("traceparent")


def spans_of(on: Recorder, trace: str) -> list[ReadableSpan]:
    return [span for span in on.ended if place(span).trace_id == trace]


def test_off_an_agent_is_given_back_as_it_is() -> None:
    assert traced(desk, Tracing(), "chopar") is desk
    assert traced_replay(replayed, Tracing()) is replayed
    sends = Sends().send
    assert traced_events(sends, Tracing()) is sends


async def test_a_chunk_is_linked_to_the_traces_of_its_events() -> None:
    on = Recorder()
    given = chunk(Record(b"u-1", EVENT), Record(b"u-2", value()), Record(b"u-1", ELSEWHERE), partition=3)
    await worked(on, given, Step())
    (batch,) = (span for span in on.ended if span.parent is None)
    assert batch.name == "process activity.events"
    assert [f"{link.context.trace_id:032x}" for link in batch.links] == [PLACE.trace_id, OTHER.trace_id]
    assert (tells(batch, "messaging.batch.message_count"), tells(batch, "messaging.destination.partition.id")) == (3, "3")
    for trace, offset in ((PLACE.trace_id, 0), (OTHER.trace_id, 2)):
        (span,) = spans_of(on, trace)
        assert (parent(span), tells(span, "messaging.kafka.offset")) == (PLACE.span_id, offset)
    assert len(on.ended) == 3, "an event without a trace has no span"


async def test_ticks_alone_are_not_worth_a_span() -> None:
    on, tick = Recorder(), Record(None, tick_value(5.0), headers=[(names.KIND_HEADER, names.TICK)])
    await worked(on, chunk(tick, tick), Step())
    assert on.ended == ()
    await worked(on, chunk(tick, Record(b"u-1", value())), Step())
    assert len(on.ended) == 1


async def test_what_is_sent_on_carries_the_place_of_its_span() -> None:
    on = Recorder()
    dead: Pair = (b"u-2", ELSEWHERE, [("mine", b"1"), ("traceparent", b"junk"), (names.REASON_HEADER, b"conflict")])
    moved: Pair = (b"u-9", EVENT, [(names.MOVED_HEADER, b"x")])
    untraced = (b"u-2", log_value(value(), 1, "logged", 0.0))
    step = Step(log=[(b"u-1", LOGGED), untraced], dead=[dead], moved={5: [moved]}, counts={"logged": 2})
    sent = await worked(on, chunk(Record(b"u-1", EVENT), Record(b"u-2", ELSEWHERE), partition=3), step)
    logged, refused, again = (on.named(f"send {topic}") for topic in (names.LOG, names.DEAD, names.EVENTS))
    assert [header(pair) for pair in (*sent.log, *sent.dead, *sent.moved[5])] == [
        str(place(logged)).encode(),
        None,
        str(place(refused)).encode(),
        str(place(again)).encode(),
    ]
    assert sent.log[1] is untraced
    assert [name for name, _ in sent.dead[0][2]] == ["mine", names.REASON_HEADER, "traceparent"]
    assert (sent.counts, step.log[0]) == ({"logged": 2}, (b"u-1", LOGGED)), "the step itself stays as it is"
    first, second = (span for span in on.ended if span.name == "process activity.events" and span.parent is not None)
    assert [parent(logged), parent(refused), parent(again)] == [place(first).span_id, place(second).span_id, place(first).span_id]
    assert (tells(logged, "chopar.verdict"), tells(refused, "chopar.reason")) == ("logged", "conflict")
    assert tells(again, "messaging.destination.partition.id") == "5"


async def test_an_event_of_an_earlier_chunk_is_sent_on_under_its_own_place() -> None:
    on = Recorder()
    await worked(on, chunk(Record(b"u-1", ELSEWHERE)), Step(log=[(b"u-1", LOGGED)]))
    assert parent(on.named("send activity.log")) == PLACE.span_id


async def test_what_is_not_sampled_is_sent_on_as_it_is() -> None:
    dead: Pair = (b"u-1", EVENT, [("traceparent", str(PLACE).encode())])
    on, step = not_recording(), Step(log=[(b"u-1", LOGGED)], dead=[dead])
    sent = await worked(on, chunk(Record(b"u-1", EVENT)), step)
    assert (on.ended, sent.log, sent.dead) == ((), step.log, step.dead)


async def test_a_chunk_that_is_lost_has_failed() -> None:
    on = Recorder()

    async def work(chunk: Chunk) -> None:
        raise Lost

    with pytest.raises(Lost):
        await traced(work, on, "chopar")(chunk(Record(b"u-1", EVENT)))
    assert [tells(span, "error.type") for span in on.ended] == ["Lost", "Lost"]
    assert "u-1" not in "".join(span.to_json() for span in on.ended)


class Published:
    """The notifier's outbox."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []

    async def deliver(self, letters: Sequence[Letter]) -> None:
        self.letters += letters


async def test_a_job_is_published_under_its_events_span() -> None:
    on, outbox = Recorder(), Published()
    made = [job(str(PLACE), "e-1"), job(None, "e-2"), job(str(OTHER), "e-3")]

    async def work(chunk: Chunk, *, jobs: Any) -> None:
        await jobs.publish(made)

    hop = msgspec.structs.replace(PLACE, span_id="b" * 16)
    record = Record(b"u-1", LOGGED, headers=[("traceparent", str(hop).encode())])
    await traced(work, on, "chopar-notify")(chunk(record, topic=names.LOG), jobs=outbox)
    taken, first = (span for span in spans_of(on, PLACE.trace_id)[::-1])
    (elsewhere,) = spans_of(on, OTHER.trace_id)
    assert [parent(taken), parent(first), parent(elsewhere)] == [hop.span_id, place(taken).span_id, OTHER.span_id]
    carried = [letter.headers.get("traceparent") for letter in outbox.letters]
    assert carried == [str(place(first)), None, str(place(elsewhere))]


def job(traceparent: str | None, event_id: str) -> Job:
    made = make_job()
    event = {**made.event, "id": event_id, "source": "/web", "subject": "u-1"}
    return msgspec.structs.replace(made, traceparent=traceparent, event=event)


# -- what people send ----------------------------------------------------------------------------------------------------


async def replayed(again: Again) -> None:
    """Nowhere."""


async def test_a_replay_has_a_span_and_carries_its_place() -> None:
    sent: list[Again] = []

    async def send(again: Again) -> None:
        sent.append(again)

    on = Recorder()
    for raw in (EVENT, value()):
        await traced_replay(send, on)(Again(b"u-1", raw, [("mine", b"1")], Event("e-1", "/web", "u-1", None, raw)))
    (span,) = on.ended
    assert (span.name, parent(span)) == ("send activity.events", PLACE.span_id)
    assert [again.headers for again in sent] == [[("mine", b"1"), ("traceparent", str(place(span)).encode())], [("mine", b"1")]]


class Sends:
    """A producer; what it sends is confirmed, or fails, later."""

    def __init__(self, error: Exception | None = None) -> None:
        self.headers: list[Headers] = []
        self.confirmed: list[asyncio.Future[object]] = []
        self._error = error

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> "asyncio.Future[object]":
        if self._error is not None:
            raise self._error
        self.headers.append(headers)
        self.confirmed.append(asyncio.get_running_loop().create_future())
        return self.confirmed[-1]


async def test_events_that_are_sent_join_their_trace_or_begin_one() -> None:
    on, sends = Recorder(), Sends()
    send = traced_events(sends.send, on)
    unsampled = value(traceparent=str(msgspec.structs.replace(PLACE, sampled=False)))
    for raw in (EVENT, value(), unsampled):
        await send(names.EVENTS, b"u-1", raw)
    assert not on.ended, "they end when Kafka has confirmed them"
    sends.confirmed[0].set_result(None)
    sends.confirmed[1].set_exception(ConnectionError("to u-1"))
    sends.confirmed[2].cancel()
    await asyncio.sleep(0)
    joined, begun = on.ended
    assert (parent(joined), parent(begun)) == (PLACE.span_id, None)
    assert [tells(span, "error.type") for span in on.ended] == [None, "ConnectionError"]
    assert [dict(headers).get("traceparent") for headers in sends.headers] == [
        str(place(joined)).encode(),
        str(place(begun)).encode(),
        None,
    ]
    assert "u-1" not in begun.to_json()


async def test_an_event_that_is_not_sent_has_a_failed_span() -> None:
    on = Recorder()
    with pytest.raises(ConnectionError):
        await traced_events(Sends(ConnectionError()).send, on)(names.EVENTS, b"u-1", EVENT)
    assert tells(on.ended[0], "error.type") == "ConnectionError"

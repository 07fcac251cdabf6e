"""What tracing costs the sequencer: `python -m benchmarks.tracing`. No broker; CPU time an event, each way in turn.

Spans are encoded as OTLP and thrown away; a collector's share is not in it. `off` is what runs without the `OTEL_` variables.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from statistics import median
from typing import Any, Final, cast

import msgspec
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from activity.chunk import Chunk
from activity.sequencing import Step
from agents.sequencer import sequencer
from benchmarks.rules import Memory, Record, records
from rabbit.traced import TracingOn
from rabbit.tracing import Tracing
from streams.tracing import traced

WAYS: Final = ("off", "no event has a trace", "none is sampled", "1 in 100 is", "each is")
EVERY: Final = {"1 in 100 is": 100, "each is": 1}


class Encoded(SpanExporter):
    """Nowhere, but by the same way."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


class Users:
    """The table, in memory."""

    def __init__(self) -> None:
        self._memory = Memory()

    def partition(self, _: int) -> Memory:
        return self._memory

    async def write(self, _: int, states: Mapping[bytes, bytes], write: Callable[..., Awaitable[object]]) -> None:
        self._memory.states.update(states)


class Outputs:
    """Kafka, which has it at once."""

    async def deliver(self, chunk: Chunk, step: Step) -> None:
        """See there."""

    async def changelog(self, chunk: Chunk, topic: str, states: Mapping[bytes, bytes]) -> None:
        """See there."""


def prepared(way: str, given: Sequence[Record]) -> list[Record]:
    """The events, with the traces that they have this way."""
    if way in WAYS[:2]:
        return list(given)
    every = EVERY.get(way)
    found = []
    for number, record in enumerate(given, 1):
        flags = "01" if every is not None and number % every == 0 else "00"
        place = f"00-{number:032x}-{number:016x}-{flags}"
        found.append(msgspec.structs.replace(record, value=b'%b,"traceparent":"%b"}' % (record.value[:-1], place.encode())))
    return found


async def microseconds(tracing: Tracing, given: Sequence[Record], size: int) -> float:
    """CPU time an event."""
    work, users = traced(sequencer, tracing, "chopar"), cast(Any, Users())
    begin = time.process_time()
    for at in range(0, len(given), size):
        chunk = Chunk("activity.events", 0, cast(Any, given[at : at + size]))
        await work(chunk, users=users, outputs=Outputs(), partition_of=lambda _: 0)
    return (time.process_time() - begin) / len(given) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--chunk", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Encoded()))
    on, off = TracingOn(provider), Tracing()
    given = records(arguments.events, 1000)
    ways = {way: prepared(way, given) for way in WAYS}
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    bare: list[float] = []
    for _ in range(arguments.rounds):
        for way, events in ways.items():
            found[way].append(asyncio.run(microseconds(off if way == "off" else on, events, arguments.chunk)))
        bare.append(asyncio.run(microseconds(off, ways["none is sampled"], arguments.chunk)))
    provider.shutdown()
    for way, figures in (*found.items(), ("off, and each has a trace", bare)):
        spread = f"({min(figures):.2f}-{max(figures):.2f})"
        sys.stdout.write(f"{way:<26} {median(figures):6.2f} µs an event {spread}\n")


if __name__ == "__main__":
    main()

"""Tracing within a test: on, and what it recorded."""

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from activity.trace import Trace
from rabbit.spans import Spans
from rabbit.traced import TracingOn

PLACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", True)
"""Of whoever sent the event."""


class Recorder(TracingOn):
    """Tracing that keeps its spans; `sampler` says which."""

    spans: Spans

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self._kept = InMemorySpanExporter()
        provider = TracerProvider(sampler=sampler)
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        super().__init__(provider)

    @property
    def ended(self) -> tuple[ReadableSpan, ...]:
        """In the order of their ends."""
        return self._kept.get_finished_spans()

    def named(self, name: str) -> ReadableSpan:
        """The one of this name."""
        (found,) = (span for span in self.ended if span.name == name)
        return found


def not_recording() -> Recorder:
    """On, and nothing is sampled."""
    return Recorder(ALWAYS_OFF)


def place(span: ReadableSpan) -> Trace:
    """Where it is."""
    context = span.context
    assert context is not None
    return Trace(f"{context.trace_id:032x}", f"{context.span_id:016x}", context.trace_flags.sampled)


def parent(span: ReadableSpan) -> str | None:
    """Its parent's id; None: it begins a trace."""
    return None if span.parent is None else f"{span.parent.span_id:016x}"


def tells(span: ReadableSpan, name: str) -> object:
    """An attribute; None: it has none of that name."""
    return (span.attributes or {}).get(name)

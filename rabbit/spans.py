"""Spans by OpenTelemetry's semantic conventions for messaging. Imported only where tracing is on.

No span has an address, a payload, a user's id or a mail server's words in it: they leave the machine.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal

from opentelemetry.context import Context
from opentelemetry.sdk._configuration import _OTelSDKConfigurator
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TracerProvider,
    get_current_span,
    get_tracer_provider,
    set_span_in_context,
    use_span,
)

from activity.trace import Trace

Attributes = Mapping[str, str | int]
Operation = Literal["send", "process"]

_KINDS: Final[Mapping[Operation, SpanKind]] = {"send": SpanKind.PRODUCER, "process": SpanKind.CONSUMER}
_NOWHERE: Final = Context()
"""The parent of a span that begins a trace."""


class _Configurator(_OTelSDKConfigurator):
    """The SDK's, which reads the `OTEL_` variables. Its own docstring says: whoever starts the SDK makes a class of it."""


def configured() -> TracerProvider:
    """The SDK, set up as the environment says. Raises RuntimeError or ValueError for what it does not know.

    That the collector is away is logged at most every 5 minutes: it is none of Chopar's promises.
    """
    exporter = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    exporter.setLevel(logging.ERROR)  # not each of its retries
    exporter.addFilter(Seldom(300.0))
    made: Any = _Configurator  # its methods are untyped
    made().configure()
    return get_tracer_provider()


class Seldom(logging.Filter):
    """Lets a record pass only if none has passed within the last `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds, self._next = seconds, 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """By the record's own time."""
        if record.created < self._next:
            return False
        self._next = record.created + self._seconds
        return True


class Spans:
    """Makes spans. Those that begin a trace are the sampler's to choose; the others follow their parent (by default)."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("chopar", schema_url="https://opentelemetry.io/schemas/1.40.0")

    def messaging(
        self,
        operation: Operation,
        system: Literal["kafka", "rabbitmq"],
        destination: str,
        attributes: Attributes,
        *,
        parent: Trace | None = None,
        links: Iterable[Trace] = (),
    ) -> Span:
        """A span `<operation> <destination>`, which the caller ends. Without a parent it begins a trace."""
        named = {
            "messaging.system": system,
            "messaging.operation.name": operation,
            "messaging.operation.type": operation,
            "messaging.destination.name": destination,
        }
        return self._tracer.start_span(
            f"{operation} {destination}",
            context=_NOWHERE if parent is None else set_span_in_context(NonRecordingSpan(_remote(parent)), _NOWHERE),
            kind=_KINDS[operation],
            attributes={**named, **attributes},
            links=[Link(_remote(place)) for place in links],
        )

    def client(self, name: str, attributes: Attributes) -> Span:
        """A span of a request to another server, under the span that is current."""
        return self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=dict(attributes))


def is_recorded() -> bool:
    """Whether the span that is current is recorded."""
    return get_current_span().is_recording()


def place_of(span: Span) -> Trace:
    """Where it is, for whoever takes what it sends."""
    context = span.get_span_context()
    return Trace(f"{context.trace_id:032x}", f"{context.span_id:016x}", context.trace_flags.sampled)


def failed(span: Span, kind: str) -> None:
    """It ended in an error of this kind. Its words are left out: they may quote what is nobody's business."""
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def end(span: Span, error: BaseException | None) -> None:
    """Ends it, as failed if there is an error."""
    if error is not None:
        failed(span, type(error).__name__)
    span.end()


@contextmanager
def ending(spans: Sequence[Span], *, current: Span | None = None) -> Iterator[None]:
    """Ends the spans with its body, as failed if that raises. `current`: the one of them that is the parent of others' spans."""
    try:
        if current is None:
            yield
        else:
            with use_span(current, record_exception=False, set_status_on_exception=False):
                yield
    except BaseException as error:
        for span in spans:
            end(span, error)
        raise
    for span in spans:
        end(span, None)


def _remote(place: Trace) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if place.sampled else TraceFlags.DEFAULT)
    return SpanContext(int(place.trace_id, 16), int(place.span_id, 16), is_remote=True, trace_flags=flags)

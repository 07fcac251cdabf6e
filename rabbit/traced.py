"""The mail side with tracing on: what is published, each attempt at a job, and each mail that is handed over."""

import re
from collections.abc import Sequence
from typing import Final

from opentelemetry.trace import Span, TracerProvider

from activity.jobs import Job
from activity.names import (
    ATTEMPT_HEADER,
    BULK_QUEUE,
    DELAY_HEADER,
    JOB_HEADER,
    JOBS_EXCHANGE,
    REASON_HEADER,
    TRACE_HEADER,
    TRANSACTIONAL_QUEUE,
)
from activity.outcomes import Dead, Outcome, Retry, Sent
from activity.trace import Trace, read_traceparent
from rabbit.attempt import Attempt, Begin
from rabbit.conversation import Envelope
from rabbit.letters import Header, Letter, in_trace
from rabbit.mail import Delivers
from rabbit.publisher import Outbox
from rabbit.source import Delivery
from rabbit.spans import Attributes, Spans, ending, failed, is_recorded, place_of
from rabbit.tasks import Permission
from rabbit.tracing import Tracing

_SHOWN: Final = {
    JOB_HEADER: "chopar.job.id",
    ATTEMPT_HEADER: "chopar.attempt",
    DELAY_HEADER: "chopar.delay",
    REASON_HEADER: "chopar.reason",
}
"""The headers of a letter that its span has too."""


class TracingOn(Tracing):
    """See `Tracing`."""

    def __init__(self, provider: TracerProvider) -> None:
        self.spans: Spans = Spans(provider)

    def outbox(self, outbox: Outbox) -> Outbox:
        """See there."""
        return TracedOutbox(outbox, self.spans)

    def mailer(self, mailer: Delivers, where: str) -> Delivers:
        """See there."""
        return TracedMailer(mailer, where, self.spans)

    def attempts(self, begin: Begin) -> Begin:
        """See there."""
        spans = self.spans

        async def traced(delivery: Delivery, job: Job, attempt: Attempt) -> Outcome:
            parent = _recorded(delivery.traceparent) or _recorded(job.traceparent)
            if parent is None:
                return await begin(delivery, job, attempt)
            span = _attempt_span(spans, delivery, job, parent)
            if span.is_recording():
                delivery.traceparent = str(place_of(span))  # what follows from the attempt is published under it
            with ending([span], current=span):
                outcome = await begin(delivery, job, attempt)
                _tell(span, outcome, attempt)
                return outcome

        return traced


class TracedOutbox:
    """An `Outbox`. A letter whose `traceparent` is recorded gets a span under it, and is published with that one's place."""

    def __init__(self, outbox: Outbox, spans: Spans) -> None:
        self._outbox, self._spans = outbox, spans

    async def deliver(self, letters: Sequence[Letter]) -> None:
        """See `Outbox.deliver`. The spans end when all is confirmed."""
        spans: list[Span] = []
        carried = [self._carried(letter, spans) for letter in letters]
        with ending(spans):
            await self._outbox.deliver(carried)

    def _carried(self, letter: Letter, spans: list[Span]) -> Letter:
        parent = _recorded(letter.headers.get(TRACE_HEADER))
        if parent is None:
            return letter
        shown = {_SHOWN[name]: value for name, value in letter.headers.items() if name in _SHOWN}
        where = f"{letter.exchange}:{letter.key}"
        span = self._spans.messaging("send", "rabbitmq", where, {**_routed(letter.key), **shown}, parent=parent)
        spans.append(span)
        return in_trace(str(place_of(span)), letter) if span.is_recording() else letter


class TracedMailer:
    """As a `rabbit.smtp.Mailer`; `where` is its server, `host:port`."""

    def __init__(self, mailer: Delivers, where: str, spans: Spans) -> None:
        host, _, port = where.rpartition(":")
        self._mailer, self._spans = mailer, spans
        self._server: Attributes = {"network.protocol.name": "smtp", "server.address": host, "server.port": int(port)}

    async def deliver(self, envelope: Envelope, permission: Permission) -> Outcome:
        """See `Delivers`."""
        if not is_recorded():
            return await self._mailer.deliver(envelope, permission)
        span = self._spans.client("smtp send", self._server)
        with ending([span], current=span):
            outcome = await self._mailer.deliver(envelope, permission)
            code = reply_code(outcome)
            if code is not None:
                span.set_attribute("chopar.smtp.reply_code", code)
            if not isinstance(outcome, Sent):
                failed(span, _kind(outcome) if code is None else str(code))
            return outcome


def reply_code(outcome: Outcome) -> int | None:
    """The code of the mail server's reply that made it so; None: it was none that did."""
    words = outcome.reply if isinstance(outcome, Sent | Dead) else outcome.reason
    found = _CODE.match(words)
    return int(found[0]) if found else None


_CODE: Final = re.compile(r"[2-5][0-9]{2}(?= )", re.ASCII)


def _attempt_span(spans: Spans, delivery: Delivery, job: Job, parent: Trace) -> Span:
    queue = BULK_QUEUE if delivery.bulk else TRANSACTIONAL_QUEUE
    attributes = {
        **_routed(delivery.key),
        "messaging.message.body.size": len(delivery.body),
        "chopar.job.id": job.id,
        "chopar.job.rule": job.rule,
        "chopar.attempt": delivery.attempt,
    }
    return spans.messaging("process", "rabbitmq", f"{JOBS_EXCHANGE}:{delivery.key}:{queue}", attributes, parent=parent)


def _tell(span: Span, outcome: Outcome, attempt: Attempt) -> None:
    if attempt.refusal is not None:
        span.set_attribute("chopar.outcome", f"not begun: {type(attempt.refusal).__name__.lower()}")
        return
    span.set_attribute("chopar.attempt", attempt.number)
    span.set_attribute("chopar.outcome", type(outcome).__name__.lower())
    if not isinstance(outcome, Sent):
        failed(span, _kind(outcome))


def _kind(outcome: Outcome) -> str:
    match outcome:
        case Retry():
            return outcome.kind
        case Dead():
            return outcome.reason
    return type(outcome).__name__.lower()


def _routed(key: str) -> Attributes:
    return {"messaging.rabbitmq.destination.routing_key": key}


def _recorded(traceparent: Header | None) -> Trace | None:
    found = read_traceparent(traceparent) if isinstance(traceparent, str) else None
    return found if found is not None and found.sampled else None

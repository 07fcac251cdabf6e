"""Tracing, on where the standard `OTEL_` variables ask for it. Where they don't, nothing of OpenTelemetry is imported, and what
would be traced is given back as it is: it runs as if there were no tracing.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from activity.errors import SettingError
from rabbit.attempt import Begin, as_it_is

if TYPE_CHECKING:
    from rabbit.mail import Delivers
    from rabbit.publisher import Outbox
    from rabbit.spans import Spans


class Tracing:
    """Off. `rabbit.traced.TracingOn` is what it is when on."""

    spans: "Spans | None" = None

    def outbox(self, outbox: "Outbox") -> "Outbox":
        """As `outbox`; each letter that belongs to a trace is published by a span of its own."""
        return outbox

    def mailer(self, mailer: "Delivers", where: str) -> "Delivers":
        """As `mailer`, which is that of the server at `where`; each mail is a span of its attempt's."""
        return mailer

    def attempts(self, begin: Begin) -> Begin:
        """As `begin`; each attempt at a job that belongs to a trace is a span."""
        return as_it_is(begin)


def start_tracing(service: str) -> Tracing:
    """On or off for this process, as its environment says; `service` is its name if that says none.

    Raises SettingError if it asks for what is not installed, or for what the SDK does not know.
    """
    asking = asks_for_tracing(os.environ)
    if asking is None:
        return Tracing()
    try:
        from rabbit.spans import configured  # only here: OpenTelemetry is an extra
        from rabbit.traced import TracingOn
    except ImportError as error:
        problem = f"asks for tracing, which is not installed ({error}); `pip install 'chopar[tracing]'`, or unset it"
        raise SettingError(asking, problem) from None
    os.environ.update(unsaid(os.environ, service))
    try:
        return TracingOn(configured())
    except (ImportError, RuntimeError, ValueError) as error:
        raise SettingError(asking, f"{error}; docs/tracing.md says what Chopar brings along") from None


def asks_for_tracing(environ: Mapping[str, str]) -> str | None:
    """The variable that asks for it, or None."""
    if _said(environ, "OTEL_SDK_DISABLED") == "true" or _said(environ, _EXPORTER) == "none":
        return None
    return next((name for name in (_EXPORTER, *_ENDPOINTS) if _said(environ, name)), None)


def unsaid(environ: Mapping[str, str], service: str) -> dict[str, str]:
    """What the specification says where the variables say nothing, and the SDK for Python leaves to who starts it.

    An endpoint alone means `otlp`; that is HTTP if no protocol is named; and a service has a name. One thing is said otherwise:
    a collector that does not answer is waited for at most 3 s and not 10, so that it does not keep a process from stopping.
    """
    added: dict[str, str] = {}
    if not _said(environ, _EXPORTER):
        added[_EXPORTER] = "otlp"
    if not any(_said(environ, name) for name in _PROTOCOLS):
        added[_PROTOCOLS[0]] = "http/protobuf"
    if not any(_said(environ, name) for name in _TIMEOUTS):
        added[_TIMEOUTS[0]] = "3"
    if not _said(environ, "OTEL_SERVICE_NAME") and "service.name=" not in _said(environ, "OTEL_RESOURCE_ATTRIBUTES"):
        added["OTEL_SERVICE_NAME"] = service
    return added


_EXPORTER: Final = "OTEL_TRACES_EXPORTER"
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_TIMEOUTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")


def _said(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip().lower()

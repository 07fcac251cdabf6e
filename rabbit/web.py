"""The mailer's own web server: `/healthz`, `/readyz` and `/metrics`. It shows no address and no payload, and changes nothing."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from activity.errors import SettingError
from activity.settings import PREFIX
from rabbit.lifecycle import Change, Listener
from rabbit.status import Status

Check = Callable[[], bool]
"""Whether something is away."""
_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Server": "chopar"}


class Counting:
    """A `Listener` that counts the changes of jobs by the state they came into, and passes them on."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.states: Counter[str] = Counter()

    def tell(self, change: Change) -> None:
        """See `Listener.tell`."""
        self.states[change.state] += 1
        self._listener.tell(change)


class Figures(Collector):
    """What the mailer has done since it began, and how it is now."""

    def __init__(self, status: Callable[[], Status], counting: Counting) -> None:
        self._status, self._counting = status, counting
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def collect(self) -> Iterator[Metric]:
        now = self._status()
        yield CounterMetricFamily("chopar_mailer_attempts", "Attempts that ended.", now.ended)
        changes = CounterMetricFamily("chopar_mailer_job_changes", "Jobs that came into a state.", labels=["state"])
        for state, count in sorted(self._counting.states.items()):
            changes.add_metric([state], count)
        yield changes
        yield CounterMetricFamily("chopar_mailer_put_off", "Jobs sent away until their domain's turn.", now.put_off)
        yield GaugeMetricFamily("chopar_mailer_workers", "Workers that are wanted.", now.workers)
        yield GaugeMetricFamily("chopar_mailer_workers_allowed", "Workers that the mail server bears at present.", now.at_most)
        yield GaugeMetricFamily("chopar_mailer_workers_busy", "Workers that are at a job.", now.busy)
        yield GaugeMetricFamily("chopar_mailer_jobs_held", "Jobs in hand that wait for their domain's turn.", now.held)
        yield GaugeMetricFamily("chopar_mailer_paused", "1: a person has paused it.", now.paused)
        yield GaugeMetricFamily("chopar_mailer_circuit_open", "1: the mail server is away.", now.away_since is not None)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)


@asynccontextmanager
async def serving(host: str, port: int | None, figures: Figures, away: Mapping[str, Check]) -> AsyncIterator[None]:
    """Serves on `port`; None: not at all. It is ready when nothing is `away`. Raises SettingError if the port is taken."""
    if port is None:
        yield
        return

    async def alive(request: web.Request) -> web.Response:
        return _answer(HTTPStatus.OK, {"status": "ok"})

    async def ready(request: web.Request) -> web.Response:
        checks = {name: "away" if is_away() else "ok" for name, is_away in away.items()}
        is_ready = set(checks.values()) == {"ok"}
        status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return _answer(status, {"ready": is_ready, "checks": checks})

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(body=figures.text(), headers={**_HEADERS, "Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.add_routes([web.get("/healthz", alive), web.get("/readyz", ready), web.get("/metrics", metrics)])
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            problem = f"can't listen on {host}:{port} ({error.strerror}); set another one"
            raise SettingError(f"{PREFIX}MAILER_PORT", problem) from None
        yield
    finally:
        await runner.cleanup()


def _answer(status: int, what: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(what), status=status, content_type="application/json", headers=_HEADERS)

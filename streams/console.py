"""What the worker's web server answers: the console's routes, and the parts of the worker that they look into."""

from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from activity.errors import ChoparError
from console.health import Check, health_routes
from console.routes import Call, Endpoint, Route
from streams.metrics import Metrics
from streams.parts import StorePart


def console_routes(app: Any, store: StorePart, metrics: Metrics) -> list[Route]:
    """All routes of a worker. `app` is the `streams.app.App`."""
    return [*health_routes(worker_checks(app, store)), metrics_route(metrics)]


def metrics_route(metrics: Metrics) -> Endpoint:
    """`/metrics`, for Prometheus."""

    async def show(call: Call[None, None]) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return Endpoint("/metrics", show, "Counters of this worker, in Prometheus' text format.", str, media_type="text/plain")


def worker_checks(app: Any, store: StorePart) -> dict[str, Check]:
    """What a worker needs to be of use."""

    async def kafka() -> str | None:
        return "away" if app.outage.is_on else None

    async def table() -> str | None:
        if app.rebalancing or not app.consumer_generation_id:
            return "the group is being balanced anew"
        recovery = app.tables.recovery
        if recovery.in_recovery or not recovery.completed.is_set():
            return f"recovering, {recovery.active_remaining_total():,} records to go"
        return None

    async def database() -> str | None:
        try:
            await store.store.answers()
        except ChoparError:
            return "away"
        return None

    return {"kafka": kafka, "table": table, "store": database}

"""What the worker's web server answers: the console's routes, and the parts of the worker that they look into."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from activity import names
from activity.errors import ChoparError
from activity.settings import Settings
from console.access import Access
from console.activity import activity_routes
from console.asyncapi import asyncapi_route
from console.deadletters import letter_routes
from console.health import health_routes
from console.jobs import job_routes
from console.observing import Observer
from console.openapi import openapi_route
from console.pages.frame import problem_page
from console.pages.rendering import compile_all
from console.pages.routes import Pages, page_routes
from console.pages.runs import Runs
from console.peers import Peers, open_peers
from console.routes import Call, Endpoint, Route
from console.server import create_application
from console.session import session_routes
from console.tables import Table, table_routes
from console.timeline import Timelines, timeline_routes
from console.waiting import waiting_routes
from rabbit.deciding import Deciding
from rabbit.tracing import Tracing
from streams.membership import UsersMembership
from streams.metrics import Metrics, waiting_here
from streams.overview import snapshot, sources
from streams.parts import CurrentRules, StorePart
from streams.redelivery import worker_redelivery
from tables.users import Users


class ConsolePart:
    """The worker's web console. Its application can be made once it is open."""

    def __init__(self, app: Any, settings: Settings, store: StorePart, users: Users, metrics: Metrics, tracing: Tracing) -> None:
        """`app` is the `streams.app.App`."""
        self._app, self._settings, self._store, self._users, self._metrics = app, settings, store, users, metrics
        self._tracing = tracing
        self._peers: Peers
        self._observer = Observer({})
        self._runs = Runs()

    async def open(self, stack: AsyncExitStack) -> None:
        await asyncio.to_thread(compile_all)
        self._peers = await stack.enter_async_context(open_peers(self._settings.api_token))
        stack.push_async_callback(self._let_go)

    async def _let_go(self) -> None:
        await self._runs.close()
        await self._observer.close()

    def application(self) -> web.Application:
        """All routes of a worker."""
        settings, store = self._settings, self._store.store
        access = Access(settings.api_token)
        members = UsersMembership(self._app, self._users, settings)
        users = Table(names.USERS, members, self._peers, settings.gap_timeout)
        timelines = Timelines(store.log, store.jobs, store.user_letters, CurrentRules(settings).read, users.state)
        redelivery = worker_redelivery(self._app, settings, store, self._tracing)
        self._observer = Observer(sources(settings, store, members, self._peers, self._waiting_here))
        look, change = partial(snapshot, self._observer), self._observer.change
        decider = Deciding(store.jobs, store.log, store.ledger(settings.unknown_outcome), CurrentRules(settings).read)
        parts = (redelivery, look, change, self._runs, decider, settings.trace_url)
        pages = Pages(timelines, store.jobs, store.letters, *parts)
        routes: list[Route] = [
            *timeline_routes(timelines),
            *activity_routes(store.log),
            *job_routes(store.jobs),
            *letter_routes(store.letters, store.letters, redelivery),
            *table_routes({names.USERS: users}),
            *health_routes({"kafka": self._kafka, "table": partial(_table, members), "store": self._database}),
            metrics_route(self._metrics),
            asyncapi_route(settings.partitions),
            *session_routes(access),
            *waiting_routes(self._waiting_here),
            *page_routes(pages, access),
        ]
        return create_application([*routes, openapi_route(routes)], access, problem_page)

    def _waiting_here(self) -> int:
        return sum(waiting_here(self._users).values())

    async def _kafka(self) -> str | None:
        return "away" if self._app.outage.is_on else None

    async def _database(self) -> str | None:
        try:
            await self._store.store.answers()
        except ChoparError:
            return "away"
        return None


async def _table(members: UsersMembership) -> str | None:
    return members.problem()


def metrics_route(metrics: Metrics) -> Endpoint:
    """`/metrics`, for Prometheus."""

    async def show(call: Call[None, None]) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return Endpoint("/metrics", show, "Counters of this worker, in Prometheus' text format.", str, media_type="text/plain")

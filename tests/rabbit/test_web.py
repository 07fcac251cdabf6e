"""The mailer's own web server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from activity.errors import SettingError
from brokers import ports
from rabbit.lifecycle import Change
from rabbit.status import Status
from rabbit.web import Counting, Figures, serving

STATUS = Status("m:1", False, None, 4, 3, 2, 1, 5, 17)


class Heard:
    def __init__(self) -> None:
        self.changes: list[Change] = []

    def tell(self, change: Change) -> None:
        self.changes.append(change)


class Mailer:
    """What its web server shows."""

    def __init__(self) -> None:
        self.heard, self.status, self.away = Heard(), STATUS, False
        self.counting = Counting(self.heard)

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[Any]:
        port = ports.choose(1)[0]
        figures = Figures(lambda: self.status, self.counting)
        served = serving("127.0.0.1", port, figures, {"rabbitmq": lambda: self.away, "store": lambda: False})
        async with served, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            yield session


async def test_alive_and_ready_or_not() -> None:
    mailer = Mailer()
    async with mailer.asked() as session:
        assert (await session.get("/healthz")).status == 200
        ready = await session.get("/readyz")
        assert (ready.status, await ready.json()) == (200, {"ready": True, "checks": {"rabbitmq": "ok", "store": "ok"}})
        mailer.away = True
        ready = await session.get("/readyz")
        assert (ready.status, await ready.json()) == (503, {"ready": False, "checks": {"rabbitmq": "away", "store": "ok"}})
        assert (await session.get("/healthz")).status == 200, "to start it anew would not bring RabbitMQ back"
        assert (await session.post("/healthz")).status == 405
        assert (await session.get("/")).status == 404


async def test_figures() -> None:
    mailer = Mailer()
    changes = [Change("j", "r", "ann@shop.example", state, 1, 1.0) for state in ("sending", "sent", "sending", "dead")]
    for change in changes:
        mailer.counting.tell(change)
    assert mailer.heard.changes == changes
    async with mailer.asked() as session:
        answer = await session.get("/metrics")
        text = await answer.text()
    assert answer.headers["Content-Type"].startswith("text/plain")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("chopar_") and not sample.name.endswith("_created")
    }
    assert found == {
        ("chopar_mailer_attempts_total",): 17,
        ("chopar_mailer_job_changes_total", "sending"): 2,
        ("chopar_mailer_job_changes_total", "sent"): 1,
        ("chopar_mailer_job_changes_total", "dead"): 1,
        ("chopar_mailer_put_off_total",): 5,
        ("chopar_mailer_workers",): 4,
        ("chopar_mailer_workers_allowed",): 3,
        ("chopar_mailer_workers_busy",): 2,
        ("chopar_mailer_jobs_held",): 1,
        ("chopar_mailer_paused",): 0,
        ("chopar_mailer_circuit_open",): 0,
    }
    assert "ann" not in text


async def test_a_port_that_is_taken_is_named() -> None:
    mailer = Mailer()
    figures = Figures(lambda: STATUS, mailer.counting)
    port = ports.choose(1)[0]
    async with serving("127.0.0.1", port, figures, {}):
        with pytest.raises(SettingError, match=rf"CHOPAR_MAILER_PORT: can't listen on 127.0.0.1:{port} .*; set another one"):
            async with serving("127.0.0.1", port, figures, {}):
                raise AssertionError


async def test_without_a_port_there_is_no_server() -> None:
    async with serving("127.0.0.1", None, Figures(lambda: STATUS, Mailer().counting), {}):
        pass

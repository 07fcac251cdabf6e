"""One run: jobs and blows at once, then everything drained, then the checker."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec

from brokers.node import Node
from brokers.rabbitmq import RabbitMQ
from rabbit import topology
from rabbit.publisher import Publisher
from tests.chaos.findings import Findings
from tests.chaos.fleet import Fleet
from tests.chaos.mail.checker import check
from tests.chaos.mail.evidence import QUEUES, gather
from tests.chaos.mail.sink import Sink
from tests.chaos.mail.traffic import Traffic, answer
from tests.chaos.storm import Kind, plan
from tests.installation import Installation
from tests.processes import MAILER
from tests.rabbit import broker

MIXES: Final[Mapping[str, Mapping[Kind, int]]] = {
    "all": {"kill": 20, "broker": 3, "close": 12, "pause": 3, "blink": 3, "leave": 4, "server": 2},
    "kills": {"kill": 40},
    "outages": {"kill": 6, "broker": 6, "close": 20, "server": 4},
    "pauses": {"kill": 4, "pause": 10, "blink": 10},
    "short": {"kill": 3, "broker": 1, "close": 2, "leave": 1},
}
MAX_ATTEMPTS: Final = 8
TICK: Final = 0.1
BACKLOG: Final = 20.0
CLOSE: Final = (
    "Pids = rabbit_networking:connections(), "
    'Pids == [] orelse rabbit_networking:close_connection(lists:nth(rand:uniform(length(Pids)), Pids), "chaos").'
)


class Run(msgspec.Struct, frozen=True):
    """What to do. `pace` stretches the time between two blows."""

    seed: int
    mix: str = "all"
    rate: int = 500
    mailers: int = 2
    workers: int = 4
    pace: float = 1.0
    patience: float = 600.0


async def storm(run: Run, folder: Path, rabbit: Node[RabbitMQ]) -> Findings:
    """Do it. What was broken stands in the findings; raises only when it could not be done."""
    await topology.declare(rabbit.url)
    traffic = Traffic(run.seed)
    async with Sink(partial(answer, run.seed)) as sink, Publisher(rabbit.url) as publisher:
        retries = {"CHOPAR_RETRY_BASE": "500ms", "CHOPAR_RETRY_CAP": "2s", "CHOPAR_MAX_ATTEMPTS": str(MAX_ATTEMPTS)}
        ours = Installation(folder, "", rabbit.url, sink.url, CHOPAR_MAIL_WORKERS=str(run.workers), **retries)
        processes = {f"mailer-{number}": ours.process(MAILER, f"mailer-{number}") for number in range(run.mailers)}
        fleet = Fleet(processes, rabbit, {"close": partial(_close, rabbit), "server": partial(_server, sink)})
        fleet.start()
        for process in processes.values():
            await asyncio.to_thread(process.says, "sending")
        started = monotonic()
        watching = asyncio.create_task(fleet.watch())
        try:
            async with _feeding(publisher, traffic, run.rate, ours):
                for blow in plan(run.seed, MIXES[run.mix], list(processes)):
                    await asyncio.sleep(blow.after * run.pace)
                    await fleet.strike(blow)
                await fleet.settle()
            began = monotonic()
            is_drained = await drained(rabbit.url, ours, len(traffic.given), run.patience)
            took = monotonic() - began
            watching.cancel()
            await fleet.stop()
        finally:
            watching.cancel()
            fleet.kill()
    findings = check(await gather(traffic.given, traffic.junk, sink.handed, ours.store, rabbit.url), MAX_ATTEMPTS)
    if not is_drained:
        findings.breaks("progress", f"not all was worked off within {run.patience:.0f} s")
    for surprise in fleet.surprises:
        findings.breaks("ends", surprise)
    seconds = began - started
    times = {
        "seconds under fire": round(seconds),
        "jobs a second": round(len(traffic.given) / seconds),
        "seconds to drain": round(took),
    }
    findings.counts = {**fleet.struck, **fleet.exits, **times, **findings.counts}
    return findings


async def _close(rabbit: Node[RabbitMQ], _: float) -> None:
    """The broker closes one connection, whosever it is."""
    await broker.ctl(rabbit, "eval", CLOSE)


async def _server(sink: Sink, lasts: float) -> None:
    """The mail server is away for a while."""
    await sink.stop()
    await asyncio.sleep(lasts)
    await sink.start()


@asynccontextmanager
async def _feeding(publisher: Publisher, traffic: Traffic, rate: int, ours: Installation) -> AsyncIterator[None]:
    """Traffic while the block runs; at its end all that was handed out is on RabbitMQ."""
    stop = asyncio.Event()
    feeding = asyncio.create_task(_feed(publisher, traffic, rate, ours, stop))
    try:
        yield
    finally:
        stop.set()
        await feeding


async def _feed(publisher: Publisher, traffic: Traffic, rate: int, ours: Installation, stop: asyncio.Event) -> None:
    """At most `rate` a second; none while what was published before is not safe, or `BACKLOG` seconds of it are not done."""
    letters, looked, ended = iter(traffic), 0.0, 0
    while not stop.is_set():
        next_tick = monotonic() + TICK
        if next_tick > looked + 1.0:
            looked, ended = next_tick, ours.ended()
        if len(traffic.given) - ended > rate * BACKLOG:
            await asyncio.sleep(TICK)
            continue
        await publisher.deliver([next(letters) for _ in range(int(rate * TICK))])
        await asyncio.sleep(max(0.0, next_tick - monotonic()))


async def drained(url: str, ours: Installation, jobs: int, patience: float) -> bool:
    """Whether all jobs have ended and all queues are empty within `patience` seconds, and stay so for a while."""
    deadline, since = monotonic() + patience, None
    while monotonic() < deadline:
        if ours.ended() < jobs or any([await broker.waiting(url, name) for name in QUEUES]):
            since = None
        elif since is None:
            since = monotonic()
        elif monotonic() - since > 3.0:
            return True
        await asyncio.sleep(0.5)
    return False

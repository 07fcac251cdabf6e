"""One side at one kind of work: started, watched until all is done, stopped, checked; only then its figure counts."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Final, Literal

import msgspec

from benchmarks.figures import percentile
from benchmarks.jobs import queues
from benchmarks.jobs.checks import complete, ledger_problems, mail_problems, marks, rate
from benchmarks.jobs.memory import Memory, counted, sampled
from benchmarks.jobs.sides import BIN, ROOT, Command, Side
from benchmarks.peers.jobs.work import RECORD
from benchmarks.process import Process
from brokers import ports

STALLED: Final = 20.0
"""Seconds without a new mark after which a side is given up."""
WARMING: Final = 2.0
"""Seconds of the steady stream before its latencies count."""

Kind = Literal["publish", "consume", "mail", "latency"]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of a side came to; memory and CPU are those of all its processes. `p50` and `p99` are milliseconds."""

    side: str
    round: int
    kind: Kind
    jobs: int
    jobs_per_second: float
    cpu_us: float
    peak_mb: float
    checked: bool
    p50: float | None = None
    p99: float | None = None
    problems: list[str] = []


class Bench:
    """Runs sides on one RabbitMQ, in folders of their own below `folder`."""

    def __init__(self, rabbit: str, folder: Path) -> None:
        self._rabbit, self._folder, self._count = rabbit, folder, 0

    async def publish(self, side: Side, number: int, jobs: int) -> Run:
        """All jobs, each confirmed; then they are taken off the queue and counted."""
        await queues.clear(self._rabbit)
        folder = self._new()
        process = self._start(side.publish, folder, jobs)
        cpu, peak, problems = await self._ended(process)
        told = folder / "seconds"
        seconds = float(told.read_text()) if told.exists() else 0.0
        found = await queues.drained(self._rabbit, side.queue, jobs)
        problems += complete(found.elements(), jobs, "on the queue")
        return _run(side, number, "publish", jobs, jobs / seconds if seconds else 0.0, cpu, peak, problems)

    async def consume(self, side: Side, number: int, jobs: int) -> Run:
        """Jobs that wait on the queue are done; nothing is mailed."""
        folder = await self._filled(side, jobs)
        process = self._start(side.work, folder, jobs)
        cpu, peak, problems = await self._watched(process, folder, jobs)
        done = marks(folder / "done")
        problems += complete((one for one, _ in done), jobs, "done")
        problems += await self._left(side, folder, jobs)
        return _run(side, number, "consume", jobs, rate(done), cpu, peak, problems)

    async def mail(self, side: Side, number: int, jobs: int) -> Run:
        """Jobs that wait on the queue are mailed to the sink."""
        folder = await self._filled(side, jobs)
        async with self._mailing(side, folder, jobs) as process:
            cpu, peak, problems = await self._watched(process, folder, jobs)
            await asyncio.sleep(0.5)  # the sink has written the last ones
        done = marks(folder / "done")
        problems += [*complete((one for one, _ in done), jobs, "mailed"), *mail_problems(folder / "mails", jobs)]
        problems += await self._left(side, folder, jobs)
        return _run(side, number, "mail", jobs, rate(done), cpu, peak, problems)

    async def latency(self, side: Side, number: int, rate_: float, seconds: float) -> Run:
        """Jobs at a steady rate, from a process that publishes to one that does them."""
        jobs, folder = int(rate_ * (seconds + WARMING)), await self._filled(side, 0)
        process = self._start(side.work, folder, jobs, {"BENCH_RATE": str(rate_)})
        try:
            await asyncio.sleep(5.0)  # it consumes
            publisher = self._start(side.publish, folder, jobs, {"BENCH_RATE": str(rate_)})
            _, _, problems = await self._ended(publisher)
            cpu, peak, more = await self._watched(process, folder, jobs)
        finally:
            process.kill()
        sent, done = dict(marks(folder / "sent")), marks(folder / "done")
        problems += [*more, *complete((one for one, _ in done), jobs, "done")]
        begin = min(sent.values(), default=0.0) + WARMING
        begun = marks(folder / "begun") or done  # where a job is marked when it is acknowledged its handler marks it too
        took = sorted((at - sent[one]) * 1000 for one, at in begun if sent.get(one, 0.0) >= begin)
        return _run(
            side,
            number,
            "latency",
            jobs,
            rate_,
            cpu,
            peak,
            problems,
            percentile(took, 0.5),
            percentile(took, 0.99),
        )

    async def memory(self, side: Side, what: str, jobs: int, queued: int) -> Memory:
        """A mailer's memory over `jobs` jobs of the `queued` that wait."""
        folder = await self._filled(side, queued)
        async with self._mailing(side, folder, jobs) as process:
            return await sampled(process, folder / "done", what, jobs, RECORD.size)

    @asynccontextmanager
    async def _mailing(self, side: Side, folder: Path, jobs: int) -> AsyncIterator[Process]:
        """`side` at work, and a sink for its mails; neither is left running."""
        port = ports.choose(1)[0]
        sink = self._start((str(BIN / "python"), "-m", "benchmarks.jobs.sink", str(port), str(folder)), folder, jobs)
        process = None
        try:
            await _listens(port)
            process = self._start(side.mail, folder, jobs, {"BENCH_SMTP": f"smtp://127.0.0.1:{port}", **_settings(port, folder)})
            yield process
        finally:
            for one in (process, sink):
                if one is not None:
                    one.kill()

    def _new(self) -> Path:
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir(parents=True)
        return folder

    async def _filled(self, side: Side, jobs: int) -> Path:
        """A folder for a run whose jobs wait on the queue; of no jobs there is the queue."""
        await queues.clear(self._rabbit)
        folder = self._new()
        process = self._start(side.publish, folder, max(jobs, 1))
        _, _, problems = await self._ended(process)
        if problems:
            raise RuntimeError(f"{side.name} could not publish: {problems}")
        if jobs == 0:
            await queues.drained(self._rabbit, side.queue, 1)
        return folder

    def _start(self, command: Command, folder: Path, jobs: int, env: Mapping[str, str] | None = None) -> Process:
        told = {"BENCH_RABBIT": self._rabbit, "BENCH_JOBS": str(jobs), "BENCH_FOLDER": str(folder), "PYTHONPATH": str(ROOT)}
        return Process(
            command, {**told, **(env or {}), "CHOPAR_RABBIT_URL": self._rabbit}, folder, f"{len(os.listdir(folder))}.log"
        )

    async def _ended(self, process: Process) -> tuple[float, float, list[str]]:
        """CPU seconds, peak MB and what is wrong with a process that ends by itself."""
        peak = 0.0
        while not process.ended:
            peak = max(peak, process.peak_mb())
            await asyncio.sleep(0.02)
        cpu = await process.stop()
        return cpu, peak, [] if process.code == 0 else [f"it ended with {process.code}\n{process.tail()}"]

    async def _watched(self, process: Process, folder: Path, jobs: int) -> tuple[float, float, list[str]]:
        """The same of one that works until it is stopped, which it is once all jobs are marked."""
        file = folder / "done"
        problem = await _until(lambda: counted(file, RECORD.size), jobs, process)
        if problem is None:
            await asyncio.sleep(0.5)  # the last acknowledgements are on their way
        peak = process.peak_mb()
        cpu = await process.stop()
        return cpu, peak, [f"{problem}\n{process.tail()}"] if problem else []

    async def _left(self, side: Side, folder: Path, jobs: int) -> list[str]:
        """Nothing may be left on the queue, and the ledger has to have it all."""
        left = await queues.waiting(self._rabbit, side.queue)
        wrong = [f"{left} jobs are on the queue still"] if left else []
        return [*wrong, *(ledger_problems(folder / "chopar.db", jobs) if side.ours else [])]


async def _until(count: Callable[[], int], wanted: int, process: Process) -> str | None:
    before, since = -1, monotonic()
    while (now := count()) < wanted:
        if process.ended:
            return "it ended by itself"
        if now != before:
            before, since = now, monotonic()
        elif monotonic() - since > STALLED:
            return f"no progress for {STALLED:.0f} s at {now:,} of {wanted:,} jobs"
        await asyncio.sleep(0.05)
    return None


async def _listens(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


def _settings(port: int, folder: Path) -> dict[str, str]:
    """Of Chopar's mailer."""
    return {
        "CHOPAR_SMTP_URL": f"smtp://127.0.0.1:{port}",
        "CHOPAR_STORE_URL": f"sqlite:///{folder}/chopar.db",
        "CHOPAR_MAIL_FROM": "Shop <mail@shop.example>",
        "CHOPAR_TEMPLATES": str(ROOT / "templates"),
        "CHOPAR_DATA_DIR": str(folder / "data"),
        "CHOPAR_MAIL_WORKERS": "64",
    }


def _run(
    side: Side,
    number: int,
    kind: Kind,
    jobs: int,
    per_second: float,
    cpu: float,
    peak: float,
    problems: list[str],
    p50: float | None = None,
    p99: float | None = None,
) -> Run:
    return Run(
        side=side.name,
        round=number,
        kind=kind,
        jobs=jobs,
        jobs_per_second=per_second,
        cpu_us=cpu / jobs * 1e6,
        peak_mb=peak,
        checked=not problems,
        p50=p50,
        p99=p99,
        problems=problems,
    )

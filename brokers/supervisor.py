"""Starts children one after the other, watches them, and ends them in reverse order, whatever happens to us."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

import brokers
from activity.errors import ChoparError
from brokers import record
from brokers.child import Child, Process, describe

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Crashed(ChoparError):
    """A child ended by itself, or never got ready. Everything else is stopped; the text has the end of its log."""

    def __init__(self, process: Process, problem: str) -> None:
        self.name = process.child.name
        self.tail = process.tail()
        end = "".join(f"\n    {line}" for line in self.tail) or " (it wrote nothing)"
        super().__init__(f"{self.name}: {problem}; the end of {process.child.log_path}:{end}")


class Supervisor:
    """Owns the children it starts. None outlives it for long: not on an error, on a signal, nor on SIGKILL.

    `path` is the record of what runs, for the watchdog, and for the next start if the watchdog was killed as well.
    One supervisor a record at a time: the caller holds a lock. Not bound to an event loop.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._processes: list[Process] = []
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    def pids(self) -> dict[str, int]:
        """The children that were started and not stopped, by name."""
        return {process.child.name: process.pid for process in self._processes}

    async def start(self, child: Child) -> None:
        """Starts it and waits until it is ready. Raises Crashed if it ends or is not ready in time."""
        if self._watchdog is None:
            await self._begin()
        logger.debug("starting %s", child.name)
        try:
            process = Process(child)
        except OSError as error:
            raise ChoparError(f"{child.name}: could not start {child.argv[0]}: {error.strerror}") from None
        self._processes.append(process)
        record.write(self._path, [each.started for each in self._processes])
        await _until_ready(process)
        self._changed.set()
        logger.info("%s is ready (pid %d)", child.name, process.pid)

    async def watch(self) -> NoReturn:
        """Waits until a child ends that was not asked to, and raises Crashed for it."""
        while True:
            self._changed.clear()
            waiting = {asyncio.create_task(process.exited()): process for process in self._processes}
            changed = asyncio.create_task(self._changed.wait())
            try:
                await asyncio.wait([*waiting, changed], return_when=asyncio.FIRST_COMPLETED)
                for task, process in waiting.items():
                    if task.done() and process in self._processes:
                        raise Crashed(process, f"ended by itself ({describe(task.result())})")
            finally:
                await _cancel([*waiting, changed])

    async def end(self, name: str) -> None:
        """Stops one child, as planned: `watch` does not complain."""
        for process in [each for each in self._processes if each.child.name == name]:
            self._forget(process)
            await process.stop()
            record.write(self._path, [each.started for each in self._processes])

    async def stop(self) -> None:
        """Stops all, the latest first. May be called again and again; a start after it begins anew."""
        try:
            while self._processes:
                process = self._processes[-1]
                self._forget(process)
                logger.debug("stopping %s", process.child.name)
                await process.stop()
        finally:
            await self._finish()

    async def kill(self) -> None:
        """SIGKILL to all at once, as a power cut would do it."""
        try:
            await asyncio.gather(*(process.kill() for process in self._processes))
            self._processes.clear()
        finally:
            await self._finish()

    def _forget(self, process: Process) -> None:
        self._processes.remove(process)
        self._changed.set()

    async def _begin(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if swept := await asyncio.to_thread(record.sweep, self._path):
            logger.warning("stopped what an earlier run had left: %s", ", ".join(swept))
        self._watchdog = _watchdog(self._path)

    async def _finish(self) -> None:
        """Lets the watchdog end; it sweeps what a failed stop has left."""
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is None:
            return
        record.write(self._path, [process.started for process in self._processes])
        if watchdog.stdin is not None:
            watchdog.stdin.close()
        await asyncio.to_thread(watchdog.wait)


def _watchdog(path: Path) -> subprocess.Popen[bytes]:
    home = str(Path(brokers.__file__).parent.parent)
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "brokers.watchdog", str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


async def until_stopped(work: Coroutine[Any, Any, T]) -> T | None:
    """Runs `work`; Ctrl-C, SIGTERM or SIGHUP cancels it, so that its `finally` and `async with` run; then gives None."""
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(work)
    stopped: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        if not stopped:  # a second Ctrl-C must not break off the stopping
            stopped.append(number)
            task.cancel()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not stopped:
            task.cancel()
            raise
        logger.info("stopped by %s", stopped[0].name)
        return None
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def run(child: Child) -> None:
    """Runs a child that ends by itself, within its deadline. Raises Crashed unless it ends with exit code 0."""
    process = Process(child)
    try:
        status = await asyncio.wait_for(process.exited(), child.deadline)
    except TimeoutError:
        raise Crashed(process, f"did not end within {child.deadline:g} s") from None
    finally:
        await process.kill()
    if status != 0:
        raise Crashed(process, describe(status))


async def _until_ready(process: Process) -> None:
    ready = process.child.ready
    if ready is None:
        return

    async def ask() -> None:
        while not await ready():  # noqa: ASYNC110 - a port has no event to wait for
            await asyncio.sleep(0.1)

    exited, asking = asyncio.create_task(process.exited()), asyncio.create_task(ask())
    try:
        await asyncio.wait([exited, asking], timeout=process.child.deadline, return_when=asyncio.FIRST_COMPLETED)
        if exited.done():
            raise Crashed(process, f"ended before it was ready ({describe(exited.result())})")
        if not asking.done():
            raise Crashed(process, f"not ready after {process.child.deadline:g} s")
        asking.result()
    finally:
        await _cancel([exited, asking])


async def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

"""The processes of a run: hurt as the plan says, started again as a supervisor does."""

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any

from brokers.node import Node
from streams.exits import TEMPFAIL
from tests.chaos.storm import Blow, Kind
from tests.processes import Process

Strike = Callable[[float], Awaitable[None]]


class Fleet:
    """`start` all, `strike`, `settle`, `stop`. `surprises` names each end that nobody caused.

    `others` are blows to what is neither a process nor the broker: each is given how long it is to last.
    """

    def __init__(self, processes: dict[str, Process], broker: Node[Any], others: Mapping[Kind, Strike] = {}) -> None:
        self._processes, self._broker, self._others = processes, broker, others
        self._away: set[str] = set()
        self._far_end = asyncio.Lock()
        self._healing: set[asyncio.Task[None]] = set()
        self._down_at = float("-inf")
        self.struck: Counter[str] = Counter()
        self.exits: Counter[str] = Counter()
        self.surprises: list[str] = []

    def start(self) -> None:
        for process in self._processes.values():
            process.start()

    async def watch(self) -> None:
        """For ever: start again what ended by itself, and note how it ended."""
        while True:
            await asyncio.sleep(1.0)
            for name, process in self._processes.items():
                if name not in self._away and not process.running:
                    self._note(name, process)
                    process.start()

    async def strike(self, blow: Blow) -> None:
        """Begin a blow; its end comes by itself."""
        task = asyncio.create_task(self._begin(blow))
        self._healing.add(task)
        task.add_done_callback(self._healing.discard)

    async def settle(self) -> None:
        """Until every blow is over."""
        while self._healing:
            await asyncio.gather(*self._healing)

    async def stop(self) -> None:
        """SIGTERM to all; each should end with 0."""
        for name, process in self._processes.items():
            self._away.add(name)
            process.signal(signal.SIGTERM)
        for name, process in self._processes.items():
            if code := await asyncio.to_thread(process.wait):
                self.surprises.append(f"{name} stopped with exit code {code}: {process.tail(1)}")

    def kill(self) -> None:
        """Whatever still runs."""
        for process in self._processes.values():
            if process.running:
                process.signal(signal.SIGCONT)
                process.kill()

    async def _begin(self, blow: Blow) -> None:
        if blow.kind == "broker":
            await self._restart(blow)
        elif blow.kind in self._others:
            async with self._far_end:
                self.struck[blow.kind] += 1
                await self._others[blow.kind](blow.lasts)
                self._down_at = monotonic()
        else:
            await self._process(blow)

    async def _process(self, blow: Blow) -> None:
        process = self._processes[blow.target]
        while blow.target in self._away or not process.running:  # noqa: ASYNC110  (hurt by another blow, one of many)
            await asyncio.sleep(0.1)
        self._away.add(blow.target)
        self.struck[blow.kind] += 1
        try:
            if blow.kind in ("pause", "blink"):
                process.signal(signal.SIGSTOP)
                await asyncio.sleep(blow.lasts)
                process.signal(signal.SIGCONT)
                return
            process.signal(signal.SIGKILL if blow.kind == "kill" else signal.SIGTERM)
            await asyncio.to_thread(process.wait)
            if blow.kind == "leave" and process.left != -signal.SIGTERM:  # so it ends before it has begun to listen
                self._note(blow.target, process)
            await asyncio.sleep(blow.lasts)
            process.start()
        finally:
            self._away.discard(blow.target)

    async def _restart(self, blow: Blow) -> None:
        async with self._far_end:
            self.struck["broker"] += 1
            await self._broker.kill()
            await asyncio.sleep(blow.lasts)
            await self._broker.start()
            self._down_at = monotonic()

    def _note(self, name: str, process: Process) -> None:
        code = process.left
        self.exits[f"exit {code}"] += 1
        is_away = self._far_end.locked() or monotonic() - self._down_at < 15
        if code not in (0, TEMPFAIL) and not (code == 1 and is_away):
            self.surprises.append(f"{name} ended with exit code {code}: {process.tail(3)}")

"""What stops the flow of jobs: a person's pause, a mail server that is away. It flows when nothing does any more."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from activity.outcomes import Outcome
from rabbit.circuit import Circuit
from rabbit.outage import Outage, wait
from rabbit.source import Delivery, Source

Reason = Literal["pause", "circuit", "stop"]
Probe = Callable[[], Awaitable[bool]]
"""Whether the far end that the tasks need answers. Never raises."""


class Flow:
    """Holds up a source for as long as there is a reason. What is in hand and not begun goes to `give_back`."""

    def __init__(self, source: Source, give_back: Callable[[Delivery], None], put_back: Callable[[], None]) -> None:
        self._source, self._give_back, self._put_back = source, give_back, put_back
        self._reasons: set[Reason] = set()
        self._changing = asyncio.Lock()

    def held_by(self, reason: Reason) -> bool:
        """Whether this is a reason at present."""
        return reason in self._reasons

    async def hold(self, reason: Reason) -> None:
        """Returns when nothing more is taken. At a stop what is in hand stays so: it goes back when the connection closes."""
        async with self._changing:
            self._reasons.add(reason)
            in_hand = list(await self._source.pause())
            self._put_back()  # nobody is handed any of it now
            in_hand += await self._source.pause()
            if reason != "stop":
                for delivery in in_hand:
                    self._give_back(delivery)

    async def release(self, reason: Reason) -> None:
        """It flows again if this was the last reason."""
        async with self._changing:
            if reason in self._reasons:
                self._reasons.discard(reason)
                if not self._reasons:
                    await self._source.resume()


class Breaker:
    """Opens the circuit when the far end is away, looks again and again, and closes it when it answers."""

    def __init__(self, flow: Flow, probe: Probe, far_end: Outage, now: Callable[[], float]) -> None:
        self._flow, self._probe, self._far_end, self._now = flow, probe, far_end, now
        self._circuit = Circuit()
        self._opened = asyncio.Event()
        self._failures = 0  # since an attempt got anywhere: a server may welcome us and refuse each mail
        self.since: float | None = None
        """When it opened; None while it is closed."""

    def note(self, outcome: Outcome) -> None:
        """Counts it."""
        if self._circuit.note(outcome):
            self.since = self._now()
            self._opened.set()
        elif self._circuit.steady:
            self._failures = 0

    async def run(self) -> None:
        """While the far end is away: takes no jobs, gives back those in hand, and looks again and again.

        If it answers and refuses the next mails as well it is looked at as rarely as if it had not answered.
        """
        while True:
            await self._opened.wait()
            self._opened.clear()
            self._far_end.begin(self, "several attempts in a row could not reach it")
            await self._flow.hold("circuit")
            answers = False
            while not answers:
                self._failures += 1
                await wait(self._failures)
                answers = await self._probe()
            self._circuit.close()
            self.since = None
            self._far_end.end(self)
            await self._flow.release("circuit")

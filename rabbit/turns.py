"""Where a job waits whose domain has enough under way: for a short time here, for a longer one in a delay queue.

It holds no worker and burns no attempt, and only so many are held that others still come through.
"""

import asyncio
import time
from bisect import insort
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from activity.domains import Domains, Limit, domain_of
from activity.jobs import Job
from rabbit.source import Delivery, Source

PLACES_PER_WORKER: Final = 8
"""Jobs held for each worker and class: half of what the source hands out, so that the other half flows."""
LONGEST: Final = 4.0
"""Seconds that a job is held here; the shortest delay queue would keep it for one."""


class _Held(msgspec.Struct, frozen=True, order=True):
    until: float
    number: int
    domain: str
    delivery: Delivery


class Turns:
    """Lets a job begin or sees to it that it comes again. `put_off(delivery, job, due)` sends it to a delay queue."""

    def __init__(
        self,
        limits: Mapping[str, Limit],
        source: Source,
        places: int,
        put_off: Callable[[Delivery, Job, float], None],
        now: Callable[[], float],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """`now` is the wall clock, which appointments are made by, since other mailers see them. What is held here is held by
        `steady`, which nobody sets."""
        self._domains = Domains(limits)
        self._source, self._places, self._put_off, self._now, self._steady = source, places, put_off, now, steady
        self._ahead = now() - steady()
        self._held: dict[bool, list[_Held]] = {False: [], True: []}
        self._count = 0
        self._changed = asyncio.Event()
        self.sent_away = 0
        self._open = not limits

    @property
    def held(self) -> int:
        """Jobs that wait here."""
        return sum(map(len, self._held.values()))

    def admits(self, delivery: Delivery, job: Job) -> bool:
        """Whether it may begin now; then `left` must follow. If not, all is seen to."""
        if self._open or "@" not in job.to:
            return True
        now, domain = self._wall_clock(), domain_of(job.to)
        due = self._domains.ask(domain, now, urgent=not delivery.bulk, due=delivery.due)
        if due is None:
            return True
        delivery.due = due if delivery.bulk else None
        held = self._held[delivery.bulk]
        if due - now > LONGEST or len(held) >= self._places:
            self.sent_away += 1
            self._put_off(delivery, job, due)
        else:
            self._count += 1
            insort(held, _Held(self._steady() + due - now, self._count, domain, delivery))
            self._changed.set()
        return False

    def left(self, job: Job, took: float) -> None:
        """A job that was admitted has ended after `took` seconds: the next one of its domain may come."""
        if self._open or "@" not in job.to:
            return
        domain = domain_of(job.to)
        self._domains.done(domain, took)
        for held in self._held.values():
            first = next((one for one in held if one.domain == domain), None)
            if first is not None:
                held.remove(first)
                self._call(first)
                return

    def clear(self) -> None:
        """Puts all back that wait here."""
        for held in self._held.values():
            for one in reversed(held):
                self._source.put_back(one.delivery)
            held.clear()

    async def run(self) -> None:
        """Puts back whose time has come."""
        while True:
            self._changed.clear()
            now = self._steady()
            for held in self._held.values():
                while held and held[0].until <= now:
                    self._call(held.pop(0))
            times = [held[0].until for held in self._held.values() if held]
            try:
                await asyncio.wait_for(self._changed.wait(), max(min(times) - now, 0.001) if times else None)
            except TimeoutError:
                continue

    def _call(self, one: _Held) -> None:
        """Its turn has come, whatever the wall clock says of its appointment."""
        one.delivery.due = self._now() if one.delivery.bulk else None
        self._source.put_back(one.delivery)

    def _wall_clock(self) -> float:
        """What it shows. If it was set back, appointments go with it."""
        now = self._now()
        ahead = now - self._steady()
        if ahead < self._ahead - 1.0:
            self._domains.set_back(self._ahead - ahead)
        self._ahead = ahead
        return now

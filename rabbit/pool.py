"""The worker pool: takes jobs from a source, does each by its task, and hands what came of it to the committer."""

import asyncio
import itertools
import logging
import os
import random
import socket
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import Any, Final

import mode
import msgspec

from activity.domains import Limit
from activity.jobs import Job, JobClass
from activity.outcomes import Dead, Outcome, Retry, Unknown
from activity.refusals import Refusals
from activity.throttle import CALM, Throttle
from rabbit.attempt import Attempt, Begin, as_it_is, readable, tried
from rabbit.breaker import Breaker, Flow, Probe
from rabbit.committer import Appointment, Committer, Finished, Request
from rabbit.consequences import Terms
from rabbit.crew import Crew
from rabbit.lifecycle import Listener
from rabbit.mapping import Mappings, Result
from rabbit.outage import Outage
from rabbit.publisher import Outbox
from rabbit.source import Delivery, Source
from rabbit.status import Status
from rabbit.tasks import Tasks
from rabbit.turns import PLACES_PER_WORKER, Turns
from store.interfaces import Claims, Outcomes

logger = logging.getLogger(__name__)

FLUSH: Final = 10.0
"""Seconds that a stop waits for ledger and broker after the last job is done."""


class Limits(msgspec.Struct, frozen=True):
    """How many jobs at once, and for how long: an attempt ends after `timeout` seconds, its claim holds for twice that.

    `domains`: of these so many at once and in a time. `calm`: after so many seconds without a complaint of the far end one
    more job at once is tried.
    """

    workers: int = 4
    timeout: float = 30.0
    domains: Mapping[str, Limit] = {}
    calm: float = CALM


class Pool(mode.Service):
    """Runs until it is stopped; then it finishes what is being done, gives back the rest and returns.

    Nothing is lost at any point of a crash, and nothing is done twice but what `activity.outcomes.Unknown` describes.
    """

    mundane_level = "debug"

    def __init__(
        self,
        *,
        source: Source,
        outbox: Outbox,
        ledger: Claims,
        outcomes: Outcomes,
        tasks: Tasks,
        listener: Listener,
        probe: Probe,
        terms: Terms,
        limits: Limits,
        far_end: Outage | None = None,
        store: Outage | None = None,
        traced: Callable[[Begin], Begin] = as_it_is,
        now: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        super().__init__()
        self._source, self._registry, self._limits, self._now = source, tasks, limits, now
        self._far_end = far_end or Outage("the mail server")
        self._mappings = Mappings(outbox, outcomes, listener)
        self._committer = Committer(
            ledger=ledger,
            source=source,
            outbox=outbox,
            listener=self._mappings,
            terms=terms,
            lease=2 * limits.timeout,
            now=now,
            jitter=jitter,
            outage=store,
        )
        self._turns = Turns(limits.domains, source, limits.workers * PLACES_PER_WORKER, self._put_off, now)
        self._flow = Flow(source, self._give_back, self._turns.clear)
        self._breaker = Breaker(self._flow, probe, self._far_end, now)
        self._throttle, self._slowed, self._refusals = Throttle(limits.calm), asyncio.Event(), Refusals()
        self._crew = Crew(self._take, self._do, self.add_future)
        self._wanted = limits.workers
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._owner = f"{self._name}:{random.getrandbits(32):08x}"
        self._begin = traced(self._tried)
        self._count = itertools.count(1)
        self._alone = asyncio.Lock()
        self._ended = 0

    async def on_start(self) -> None:
        """Starts the committer, what watches the far end and the domains, and the workers."""
        self.add_future(self._committer.run())
        self._guards = [self.add_future(part) for part in (self._breaker.run(), self._turns.run(), self._recover())]
        self._crew.resize(self._wanted)

    async def on_stop(self) -> None:
        """Finishes what is being done within the time of an attempt; the rest goes back to its queue unacknowledged."""
        await asyncio.sleep(0)  # what was started a moment ago has begun: a coroutine that never did makes Python complain
        for guard in self._guards:
            guard.cancel()
        self._crew.resize(0)
        await self._flow.hold("stop")
        if self._crew.all:
            await asyncio.wait(self._crew.all, timeout=self._limits.timeout + 1.0)  # no attempt takes longer
        try:
            await asyncio.wait_for(self._committer.flushed(), FLUSH)
        except TimeoutError:
            logger.warning("stopped before everything was written down; what is left is delivered again")

    async def settled(self) -> None:
        """Returns when nothing that was taken is unfinished: all of it is in the ledger and acknowledged."""
        await self._committer.flushed()

    async def pause(self) -> None:
        """Begins no more jobs until `resume`. Those under way are finished; what is in hand goes to whoever is not paused."""
        if not self._flow.held_by("pause"):
            logger.info("paused")
        await self._flow.hold("pause")

    async def resume(self) -> None:
        """Takes jobs again, unless the far end is away."""
        if self._flow.held_by("pause"):
            logger.info("goes on")
        await self._flow.release("pause")

    async def resize(self, workers: int) -> None:
        """Does so many jobs at once from now on, fewer while the far end bears less. One too many ends after its job."""
        self._wanted = workers
        logger.info("%d workers", workers)
        self._fit()
        await self._source.expect(workers)

    def status(self) -> Status:
        """How it is at present."""
        return Status(
            mailer=self._name,
            paused=self._flow.held_by("pause"),
            away_since=self._breaker.since,
            workers=self._wanted,
            at_most=self._crew.size,
            busy=self._crew.busy,
            held=self._turns.held,
            put_off=self._turns.sent_away,
            ended=self._ended,
        )

    def map(
        self, task: str, items: Iterable[Any], *, name: str | None = None, job_class: JobClass = "bulk", window: int = 200
    ) -> AsyncGenerator[Result, None]:
        """Does `task` for each of `items` on this pool and all others on its queues: `async for result in pool.map(…)`.

        See `rabbit.mapping`. Raises LookupError at once if there is no such task here.
        """
        if self._registry.find(task) is None:
            raise LookupError(f"no task {task!r} is registered in this pool")
        return self._mappings.map(task, items, name=name, job_class=job_class, window=window)

    async def _take(self, urgent: bool) -> Delivery:
        await self._committer.healthy()
        return await self._source.take(urgent=urgent)

    async def _do(self, delivery: Delivery) -> None:
        """One delivery, from its bytes to the committer. Whatever happens in between, it is handed in."""
        started = self._now()
        job = readable(delivery.body)
        if isinstance(job, Dead):
            self._committer.finish(Finished(delivery, None, delivery.attempt, self._owner, started, job))
        elif self._turns.admits(delivery, job):
            try:
                await (self._try(delivery, job) if delivery.lost < 2 else self._try_alone(delivery, job))
            finally:
                self._turns.left(job, self._now() - started)

    async def _try_alone(self, delivery: Delivery, job: Job) -> None:
        """What was lost twice is done with no other such job beside it until the ledger has what came of it: should it kill this
        process, no other gets the blame."""
        async with self._alone:
            written = asyncio.Event()
            await self._try(delivery, job, written)
            await written.wait()

    async def _try(self, delivery: Delivery, job: Job, written: asyncio.Event | None = None) -> None:
        started = self._now()
        owner = f"{self._owner}/{next(self._count)}"
        request = Request(job, delivery.attempt, owner, asyncio.get_running_loop().create_future(), delivery.before)
        attempt = Attempt(self._committer, self._now, request)
        outcome: Outcome = Retry("stopped", burn=False)
        try:
            outcome = await self._begin(delivery, job, attempt)
            if attempt.refusal is None:
                outcome = self._refusals.weigh(job.id, outcome)
        except asyncio.CancelledError:
            outcome = Unknown("stopped") if attempt.granted else outcome
            raise
        finally:
            request.answer.cancel()
            result = attempt.refusal or outcome
            if isinstance(result, Retry) and attempt.claimed:
                result = msgspec.structs.replace(result, burn=True)  # the ledger has this number: it can't be tried again
            self._committer.finish(Finished(delivery, job, attempt.number, owner, started, result, attempt.noted, written))
            self._ended += 1
        if attempt.refusal is None:
            self._heed(outcome)

    async def _tried(self, delivery: Delivery, job: Job, attempt: Attempt) -> Outcome:
        """The attempt, unless the job has to wait, or has killed those who began it."""
        lost = delivery.lost
        early = job.due is not None and job.due > self._now()
        if (early or lost) and not await attempt.may_begin(suspect=lost > 0):
            return Retry("not begun", burn=False)
        return await tried(self._registry, job, attempt, self._limits.timeout)

    def _heed(self, outcome: Outcome) -> None:
        """What an outcome says about the far end as a whole."""
        if isinstance(outcome, Retry) and outcome.slow and self._throttle.cut(time.monotonic(), self._crew.size):
            if not self._slowed.is_set():
                logger.warning("the mail server has too much to do; it gets fewer mails at once for a while")
            self._slowed.set()
            self._fit()
        else:
            self._breaker.note(outcome)

    def _fit(self) -> None:
        """As many workers as are wanted, or as the far end bears."""
        if not self.should_stop:
            self._crew.resize(min(self._wanted, self._throttle.most or self._wanted))

    async def _recover(self) -> None:
        """After a complaint of the far end: one worker more at a time."""
        while True:
            await self._slowed.wait()
            while (seconds := self._throttle.grow(time.monotonic(), self._wanted)) is not None:
                self._fit()
                await asyncio.sleep(min(seconds, 1.0) + 0.01)
            self._slowed.clear()
            self._fit()
            logger.info("the mail server gets as many mails at once as before")

    def _put_off(self, delivery: Delivery, job: Job, due: float) -> None:
        self._committer.finish(Finished(delivery, job, delivery.attempt, self._owner, self._now(), Appointment(due)))

    def _give_back(self, delivery: Delivery) -> None:
        """By way of a short delay and not of a requeue, which would count against the broker's delivery limit."""
        job = readable(delivery.body)
        result = job if isinstance(job, Dead) else Retry("not begun", burn=False)
        known = None if isinstance(job, Dead) else job
        self._committer.finish(Finished(delivery, known, delivery.attempt, self._owner, self._now(), result))

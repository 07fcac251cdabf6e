"""The worker pool: takes jobs from a source, does each by its task, and hands what came of it to the committer."""

import asyncio
import itertools
import logging
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Final, cast

import mode
import msgspec

from activity.claims import Again, Answer, Busy, Go, Later, Over
from activity.jobs import Job, decode_job
from activity.outcomes import Dead, Outcome, Retry, Unknown
from rabbit.circuit import Circuit
from rabbit.committer import Committer, Finished, Request
from rabbit.consequences import Terms
from rabbit.lifecycle import Listener
from rabbit.outage import Outage, wait
from rabbit.publisher import Outbox
from rabbit.source import Delivery, Source
from rabbit.tasks import Tasks
from store.interfaces import Claims

logger = logging.getLogger(__name__)

Probe = Callable[[], Awaitable[bool]]
"""Whether the far end that the tasks need answers. Never raises."""

FLUSH: Final = 10.0
"""Seconds that a stop waits for ledger and broker after the last job is done."""


class Limits(msgspec.Struct, frozen=True):
    """How many jobs at once, and for how long: an attempt ends after `timeout` seconds, its claim holds for twice that."""

    workers: int = 4
    timeout: float = 30.0


class Attempt:
    """One attempt at a job, and the permission its task asks for."""

    def __init__(self, committer: Committer, now: Callable[[], float], request: Request) -> None:
        self._committer = committer
        self._now = now
        self._request = request
        self._asked = False
        self.refusal: Busy | Again | Later | Over | None = None
        self.granted = False
        self.number = request.attempt

    @property
    def counts(self) -> bool:
        """Whether it may stand in the ledger."""
        return self._request.tried or self._asked

    async def may_begin(self, *, suspect: bool) -> bool:
        """Asks the ledger before anything is begun: not if the job has to wait, or has killed those who began it."""
        mine = self._request
        answer: asyncio.Future[tuple[Answer, float]] = asyncio.get_running_loop().create_future()
        try:
            self._asked = suspect  # then it is noted down as begun, until it is settled
            got, _ = await self._committer.claim(Request(mine.job, mine.attempt, mine.owner, answer, False, True, suspect))
        finally:
            answer.cancel()
        if not isinstance(got, Go):
            self.refusal = got
        return self.refusal is None

    async def __call__(self) -> bool:
        """See `rabbit.tasks.Permission`."""
        answer, until = await self._committer.claim(self._request)
        if not isinstance(answer, Go):
            self.refusal = answer
            return False
        self.number = answer.attempt
        self.granted = self._now() < until  # not if this process slept through its own lease
        return self.granted


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
        tasks: Tasks,
        listener: Listener,
        probe: Probe,
        terms: Terms,
        limits: Limits,
        far_end: Outage | None = None,
        store: Outage | None = None,
        now: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        super().__init__()
        self._source, self._registry, self._probe, self._limits, self._now = source, tasks, probe, limits, now
        self._committer = Committer(
            ledger=ledger,
            source=source,
            outbox=outbox,
            listener=listener,
            terms=terms,
            lease=2 * limits.timeout,
            now=now,
            jitter=jitter,
            outage=store,
        )
        self._circuit = Circuit()
        self._opened = asyncio.Event()
        self._far_end = far_end or Outage("the mail server")
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{random.getrandbits(32):08x}"
        self._count = itertools.count(1)
        self._workers: list[asyncio.Future[None]] = []
        self._idle: set[asyncio.Task[None]] = set()
        self._alone = asyncio.Lock()
        self._stopping = False

    async def on_start(self) -> None:
        """Starts the committer, the guard of the circuit, and the workers."""
        self.add_future(self._committer.run())
        self._guard = self.add_future(self._watch_circuit())
        # With more than one worker, one never takes a bulk job: a slow mailing leaves a way open for a password reset.
        kept = 1 if self._limits.workers > 1 else 0
        self._workers = [self.add_future(self._work(urgent=number < kept)) for number in range(self._limits.workers)]

    async def on_stop(self) -> None:
        """Finishes what is being done within the time of an attempt; the rest goes back to its queue unacknowledged."""
        self._stopping = True
        self._guard.cancel()
        await self._source.pause()
        for worker in self._idle:
            worker.cancel()
        await asyncio.wait(self._workers, timeout=self._limits.timeout + 1.0)  # no attempt takes longer
        try:
            await asyncio.wait_for(self._committer.flushed(), FLUSH)
        except TimeoutError:
            logger.warning("stopped before everything was written down; what is left is delivered again")

    async def settled(self) -> None:
        """Returns when nothing that was taken is unfinished: all of it is in the ledger and acknowledged."""
        await self._committer.flushed()

    async def _work(self, *, urgent: bool) -> None:
        me = cast("asyncio.Task[None]", asyncio.current_task())
        while not self._stopping:
            self._idle.add(me)
            try:
                await self._committer.healthy()
                delivery = await self._source.take(urgent=urgent)
            finally:
                self._idle.discard(me)
            await self._do(delivery)

    async def _do(self, delivery: Delivery) -> None:
        """One delivery. What was lost twice is done with no other such job beside it until the ledger has what came of it: should
        it kill this process, no other gets the blame."""
        if delivery.lost < 2:
            await self._try(delivery)
            return
        async with self._alone:
            written = asyncio.Event()
            await self._try(delivery, written)
            await written.wait()

    async def _try(self, delivery: Delivery, written: asyncio.Event | None = None) -> None:
        """From its bytes to the committer. Whatever happens in between, it is handed in."""
        started = self._now()
        job = readable(delivery.body)
        if isinstance(job, Dead):
            self._committer.finish(Finished(delivery, None, delivery.attempt, self._owner, started, job, written))
            return
        owner = f"{self._owner}/{next(self._count)}"
        request = Request(job, delivery.attempt, owner, asyncio.get_running_loop().create_future())
        attempt = Attempt(self._committer, self._now, request)
        outcome: Outcome = Retry("stopped", burn=False)
        try:
            outcome = await self._begin(job, attempt, delivery.lost)
        except asyncio.CancelledError:
            outcome = Unknown("stopped") if attempt.granted else outcome
            raise
        finally:
            request.answer.cancel()
            if isinstance(outcome, Retry) and not outcome.burn and attempt.counts:
                outcome = Retry(outcome.reason, outcome.after)  # it stands in the ledger: the same number can't be tried again
            result = attempt.refusal or outcome
            self._committer.finish(Finished(delivery, job, attempt.number, owner, started, result, written))
        if attempt.refusal is None and self._circuit.note(outcome):
            self._opened.set()

    async def _begin(self, job: Job, attempt: Attempt, lost: int) -> Outcome:
        """The attempt, unless the job has to wait, or has killed those who began it."""
        early = job.due is not None and job.due > self._now()
        if (early or lost) and not await attempt.may_begin(suspect=lost > 0):
            return Retry("not begun", burn=False)
        return await self._attempt(job, attempt)

    async def _attempt(self, job: Job, attempt: Attempt) -> Outcome:
        """What the task says, in time; what it means if it does not get to say it."""
        task = self._registry.find(job.task)
        if task is None:
            return Dead("unknown-task", f"no task {job.task[:50]!r} here")
        try:
            async with asyncio.timeout(self._limits.timeout):
                return await task(job, attempt)
        except TimeoutError:
            problem = "timed out"
        except Exception as error:  # a task may have any bug; its job must not take the worker with it
            logger.exception("task %s failed on job %s", job.task, job.id)
            problem = f"task failed: {type(error).__name__}"
        return Unknown(problem) if attempt.granted else Retry(problem)

    async def _watch_circuit(self) -> None:
        """While the far end is away: takes no jobs, gives back those in hand, and looks again and again."""
        while True:
            await self._opened.wait()
            self._opened.clear()
            self._far_end.begin(self, "several attempts in a row could not reach it")
            for delivery in await self._source.pause():
                self._give_back(delivery)
            failures = 1
            await wait(failures)
            while not await self._probe():
                failures += 1
                await wait(failures)
            self._circuit.close()
            self._far_end.end(self)
            await self._source.resume()

    def _give_back(self, delivery: Delivery) -> None:
        """By way of a short delay and not of a requeue, which would count against the broker's delivery limit."""
        job = readable(delivery.body)
        result = job if isinstance(job, Dead) else Retry("not begun", burn=False)
        known = None if isinstance(job, Dead) else job
        self._committer.finish(Finished(delivery, known, delivery.attempt, self._owner, self._now(), result))


def readable(body: bytes) -> Job | Dead:
    """The job that a message holds, or why it holds none that this version can read."""
    try:
        return decode_job(body)
    except msgspec.ValidationError as error:
        reason = "unknown-version" if "$.version" in str(error) else "bad-job"
        return Dead(reason, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Dead("not-json", str(error))

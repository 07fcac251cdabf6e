"""Where the workers' outcomes come together: ledger first, then what follows from it, then the acknowledgement.

    workers ──claim──▶┐                                       ┌▶ letters confirmed ─▶ acknowledged ─▶ told
            ──finish─▶┴▶ one transaction for all that waits ──┘

A worker hands in its last job and claims the next in one transaction, so it is in doubt of one at most. A claim any earlier, as
for a batch before somebody is at it, would leave the whole batch `unknown` at a crash. While one transaction is written, what
followed from those before is published. A crash between two steps repeats the later ones: the delivery comes again, and the
ledger's answer says what is still to be done.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from activity.claims import Again, Answer, Busy, Claim, Go, Later, Over, state_after
from activity.errors import Unreachable
from activity.jobs import Job, JobState
from activity.outcomes import Dead, Outcome, Retry
from rabbit.consequences import Terms, appointed, letter_after, put_off, settled
from rabbit.failpoints import failpoint
from rabbit.letters import Letter, counting_from, dead_letter, in_trace
from rabbit.lifecycle import Change, Listener
from rabbit.link import problem
from rabbit.outage import Outage, wait
from rabbit.publisher import Outbox
from rabbit.source import Delivery, Source
from store.interfaces import Claims
from store.ledger import Settlement

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Request(msgspec.Struct, eq=False):
    """A claim on its way. `tried`: it may stand in the ledger, whatever became of the caller. For the others see `Claim`."""

    job: Job
    attempt: int
    owner: str
    answer: asyncio.Future[tuple[Answer, float]]
    before: int = 0
    tried: bool = False
    asks: bool = False
    suspect: bool = False


class Appointment(msgspec.Struct, frozen=True):
    """It was not begun, since its domain has enough under way; its turn is at `due` (Unix seconds)."""

    due: float


class Finished(msgspec.Struct, frozen=True, eq=False):
    """A delivery that a worker is done with. `result` is what came of the attempt, or the answer that kept it from trying.

    `noted`: the ledger has it as begun (`Claim.suspect`), and has to hear of its end. `written` is set when it has.
    """

    delivery: Delivery
    job: Job | None
    attempt: int
    owner: str
    started: float
    result: Outcome | Busy | Again | Later | Over | Appointment
    noted: bool = False
    written: asyncio.Event | None = None


class _Step(msgspec.Struct, frozen=True, eq=False):
    """What is left to do for a delivery once the ledger knows of it."""

    delivery: Delivery
    letter: Letter | None = None
    change: Change | None = None


def _following(delivery: Delivery, letter: Letter) -> Letter:
    return in_trace(delivery.traceparent, counting_from(delivery.before, letter))


class Committer:
    """See above. `lease` is how long a claim holds, in seconds; `now` is the wall clock, since other machines compare it."""

    def __init__(
        self,
        *,
        ledger: Claims,
        source: Source,
        outbox: Outbox,
        listener: Listener,
        terms: Terms,
        lease: float,
        now: Callable[[], float],
        jitter: Callable[[], float],
        outage: Outage | None = None,
    ) -> None:
        self._ledger, self._source, self._outbox, self._listener = ledger, source, outbox, listener
        self._terms, self._lease, self._now, self._jitter = terms, lease, now, jitter
        self._outage = outage or Outage("the store")
        self._requests: list[Request] = []
        self._finished: list[Finished] = []
        self._arrived = asyncio.Event()
        self._healthy = asyncio.Event()
        self._healthy.set()
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def claim(self, request: Request) -> tuple[Answer, float]:
        """The ledger's answer, and until when a `Go` holds. Waits as long as the store is away."""
        self._requests.append(request)
        self._arrived.set()
        return await request.answer

    def finish(self, finished: Finished) -> None:
        """Hands in a delivery; it is acknowledged when all that follows from it is done. How many there can be is bounded
        by what the source hands out."""
        self._finished.append(finished)
        self._open += 1
        self._idle.clear()
        self._arrived.set()

    async def healthy(self) -> None:
        """Returns while the store answers: a worker waits for it before it takes a job."""
        await self._healthy.wait()

    async def flushed(self) -> None:
        """Returns once everything handed in is acknowledged."""
        await self._idle.wait()

    async def run(self) -> None:
        """Claims and settles, all that came in while the last transaction ran in one, and sees to what follows meanwhile."""
        async with asyncio.TaskGroup() as following:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                finished, self._finished = self._finished, []
                requests, self._requests = self._requests, []
                steps = await self._turn(finished, requests)
                if steps:
                    following.create_task(self._follow(steps))
                for one in finished:
                    if one.written is not None:
                        one.written.set()

    async def _follow(self, steps: Sequence[_Step]) -> None:
        """Publishes, acknowledges, tells. What needs no letter does not wait for what does."""
        lettered = [step for step in steps if step.letter is not None]
        for group in ([step for step in steps if step.letter is None], lettered):
            if not group:
                continue
            letters = [_following(step.delivery, step.letter) for step in group if step.letter is not None]
            await self._outbox.deliver(letters)
            if group is lettered:
                failpoint("mailer.published")
            await self._source.acknowledge([step.delivery for step in group])
            for step in group:
                if step.change is not None:
                    self._listener.tell(step.change)
            self._open -= len(group)
            failpoint("mailer.acknowledged")
        if not self._open:
            self._idle.set()

    async def _turn(self, finished: Sequence[Finished], requests: Sequence[Request]) -> list[_Step]:
        """Writes down what is to be written, answers the requests, and says what is left to do for each of `finished`."""
        steps: list[_Step] = []
        written: list[tuple[Finished, Settlement]] = []
        for one in finished:
            settlement = self._settlement(one, one.attempt)
            if settlement is None:
                steps.append(self._unwritten(one))
            else:
                written.append((one, settlement))
        settlements = [settlement for _, settlement in written]
        done = await self._insist(lambda: self._commit(settlements, requests))
        if done is not None:
            taken, answered = done
            for request, answer, until in answered:
                self._answer(request, answer, until)
            for one, settlement in self._settled(written, taken, steps):
                # Settled already, or another's. Which of the two and what is left to do the ledger says to a claim.
                steps.extend(await self._ask(one, settlement))
        return steps

    async def _commit(
        self, settlements: Sequence[Settlement], requests: Sequence[Request]
    ) -> tuple[list[bool], list[tuple[Request, Answer, float]]] | None:
        """One transaction for what is done and those who still wait; their leases begin now. None: there is nothing to write."""
        wanted = [request for request in requests if not request.answer.done()]
        if not wanted and not settlements:
            return None
        now = self._now()
        until = now + self._lease
        claims = []
        for one in wanted:
            one.tried = True
            claims.append(Claim(one.job, one.attempt, one.owner, until, one.asks, one.suspect, one.before))
        if claims:
            failpoint("mailer.claiming")
        taken, answers = await self._ledger.turn(settlements, claims, now)
        if settlements:
            failpoint("mailer.settled")
        if claims:
            failpoint("mailer.claimed")
        return taken, [(request, answer, until) for request, answer in zip(wanted, answers, strict=True)]

    def _answer(self, request: Request, answer: Answer, until: float) -> None:
        if not request.answer.done():
            request.answer.set_result((answer, until))
            if isinstance(answer, Go) and not request.asks:
                self._listener.tell(self._change(request.job, "sending", answer.attempt))

    def _settled(
        self, written: Sequence[tuple[Finished, Settlement]], taken: Sequence[bool], steps: list[_Step]
    ) -> list[tuple[Finished, Settlement]]:
        """Adds the steps of those that were taken, returns the others."""
        refused = []
        for (one, settlement), ok in zip(written, taken, strict=True):
            if ok:
                steps.append(self._step(one, settlement.job, settlement.outcome, settlement.attempt))
            else:
                refused.append((one, settlement))
        return refused

    async def _ask(self, one: Finished, settlement: Settlement) -> list[_Step]:
        """What is left to do for an outcome that the ledger did not take."""
        until, before = self._now() + self._lease, one.delivery.before
        claim = Claim(settlement.job, settlement.attempt, settlement.owner, until, before=before)
        (answer,) = await self._insist(lambda: self._ledger.claim([claim], self._now()))
        if not isinstance(answer, Go):
            return [self._unwritten(msgspec.structs.replace(one, result=answer))]
        # The other's lease is over, and ours is the only outcome there is.
        steps: list[_Step] = []
        again = msgspec.structs.replace(settlement, attempt=answer.attempt)
        taken = await self._insist(lambda: self._ledger.settle([again], self._now()))
        if self._settled([(one, again)], taken, steps):
            steps.append(_Step(one.delivery, put_off(settlement.job, one.delivery.body, answer.attempt, self._lease)))
        return steps

    def _settlement(self, one: Finished, attempt: int) -> Settlement | None:
        """What has to be written: nothing without a job, of an answer, of an attempt that does not count and is not noted."""
        if one.job is None or isinstance(one.result, Busy | Again | Later | Over | Appointment):
            return None
        if isinstance(one.result, Retry) and not one.result.burn and not one.noted:
            return None
        outcome = settled(one.result, attempt - one.delivery.before, self._terms)
        return Settlement(job=one.job, attempt=attempt, owner=one.owner, started=one.started, outcome=outcome)

    def _unwritten(self, one: Finished) -> _Step:
        """The step for what is not written down."""
        job, body = one.job, one.delivery.body
        if job is None:
            reason, reply = (one.result.reason, one.result.reply) if isinstance(one.result, Dead) else ("unreadable", "")
            return _Step(one.delivery, dead_letter(body, one.delivery.key, reason, reply, one.attempt))
        match one.result:
            case Over(state):
                known = state != "unknown"  # this may be the first that is heard of it
                return _Step(one.delivery, None, None if known else self._change(job, state, one.attempt))
            case Later(due):  # the ledger has it
                return _Step(one.delivery, None, self._change(job, "scheduled", one.attempt, due=due))
            case Busy(until):
                return _Step(one.delivery, put_off(job, body, one.attempt, until - self._now(), one.delivery.lost))
            case Appointment(due):
                return _Step(one.delivery, appointed(job, body, one.attempt, due, self._now(), one.delivery.lost))
            case Again(outcome, attempt):
                return self._step(one, job, outcome, attempt)
            case outcome:
                return self._step(one, job, outcome, one.attempt)

    def _step(self, one: Finished, job: Job, outcome: Outcome, attempt: int) -> _Step:
        delivery = one.delivery
        letter = letter_after(outcome, job, delivery.body, attempt, self._terms, self._jitter(), delivery.before)
        change = self._change(job, state_after(outcome, self._terms.policy), attempt, getattr(outcome, "reason", ""))
        return _Step(one.delivery, letter, change)

    def _change(self, job: Job, state: JobState, attempt: int, reason: str = "", due: float | None = None) -> Change:
        return Change(job.id, job.rule, job.user, state, attempt, self._now(), reason, due)

    async def _insist(self, write: Callable[[], Awaitable[T]]) -> T:
        """Tries until the store answers. Nothing is taken from the source meanwhile. None says that nothing was tried."""
        failures = 0
        while True:
            try:
                result = await write()
            except Unreachable as error:
                self._outage.begin(self, problem(error))
            except Exception as error:  # a mistake in a program: giving up would lose or repeat mail, a restart meets it again
                if not self._outage.lasting:
                    logger.exception("the store does not take what it is given")
                self._outage.begin(self, type(error).__name__)
            else:
                if result is not None:
                    self._healthy.set()
                    self._outage.end(self)
                return result
            failures += 1
            self._healthy.clear()
            await wait(failures)

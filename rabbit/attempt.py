"""One attempt at a job: by its task, in time, with the ledger's leave."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from activity.claims import Again, Answer, Busy, Go, Later, Over
from activity.jobs import Job, decode_job
from activity.outcomes import Dead, Outcome, Retry, Sent, Unknown
from rabbit.committer import Committer, Request
from rabbit.source import Delivery
from rabbit.tasks import Tasks

logger = logging.getLogger(__name__)


class Attempt:
    """One attempt at a job, and the permission its task asks for."""

    def __init__(self, committer: Committer, now: Callable[[], float], request: Request) -> None:
        self._committer = committer
        self._now = now
        self._request = request
        self.noted = False
        """Whether it may stand in the ledger as begun."""
        self.refusal: Busy | Again | Later | Over | None = None
        self.granted = False
        self.number = request.attempt

    @property
    def claimed(self) -> bool:
        """Whether its claim may stand in the ledger, with its number."""
        return self._request.tried

    async def may_begin(self, *, suspect: bool) -> bool:
        """Asks the ledger before anything is begun: not if the job has to wait, or has killed those who began it."""
        mine = self._request
        answer: asyncio.Future[tuple[Answer, float]] = asyncio.get_running_loop().create_future()
        try:
            self.noted = suspect  # until it is settled
            got, _ = await self._committer.claim(
                Request(mine.job, mine.attempt, mine.owner, answer, mine.before, asks=True, suspect=suspect)
            )
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


Begin = Callable[[Delivery, Job, Attempt], Awaitable[Outcome]]
"""Makes an attempt at a job, unless it has to wait."""


def as_it_is(begin: Begin) -> Begin:
    """Nothing is put around it."""
    return begin


async def tried(tasks: Tasks, job: Job, attempt: Attempt, seconds: float) -> Outcome:
    """What the task says, in time; what it means if it does not get to say it."""
    task = tasks.find(job.task)
    if task is None:
        return Dead("unknown-task", f"no task {job.task[:50]!r} here")
    try:
        async with asyncio.timeout(seconds):
            return storable(await task(job, attempt), job)
    except TimeoutError:
        problem = "timed out"
    except Exception as error:  # a task may have any bug; its job must not take the worker with it
        logger.exception("task %s failed on job %s", job.task, job.id)
        problem = f"task failed: {type(error).__name__}"
    return Unknown(problem) if attempt.granted else Retry(problem, kind="failed")


def storable(outcome: Outcome, job: Job) -> Outcome:
    """The outcome as the ledger can keep it: what was done is done, even if its value can't be written down."""
    if isinstance(outcome, Sent) and outcome.value is not None:
        try:
            msgspec.json.encode(outcome.value)
        except Exception as error:  # noqa: BLE001 - whatever a task hands back, it is not JSON
            logger.error("the value of job %s is lost: it can't be JSON (%s)", job.id, type(error).__name__)
            return Sent(outcome.reply)
    return outcome


def readable(body: bytes) -> Job | Dead:
    """The job that a message holds, or why it holds none that this version can read."""
    try:
        return decode_job(body)
    except msgspec.ValidationError as error:
        reason = "unknown-version" if "$.version" in str(error) else "bad-job"
        return Dead(reason, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Dead("not-json", str(error))

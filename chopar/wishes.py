"""`chopar jobs cancel`, `chopar jobs move`: what a person wants of a job."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from activity.errors import ChoparError
from activity.events import rfc3339
from activity.jobs import JobState
from activity.settings import Settings, duration
from activity.timing import LONGEST
from activity.timing import moment as moment_of
from chopar.desk import signed
from chopar.terminal import moment, printable, say, write_json

if TYPE_CHECKING:
    from activity.ledger import JobRow
    from rabbit.deciding import Verdict
    from store.ledger import Ledger

UNHEARD = "the ledger has not heard of it"
Wish = Callable[["Ledger", str, float], Awaitable[str | None]]


class Came(msgspec.Struct, frozen=True):
    """What came of a wish. `unheard`: the ledger did not know of the job before."""

    id: str
    state: JobState | None
    due: str | None = None
    problem: str | None = None
    unheard: bool = False


class When(click.ParamType):
    """A time, or how long from now, as Unix seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value)
        with contextlib.suppress(ValueError):
            if (seconds := duration(text)) <= LONGEST:
                return time.time() + seconds
        try:
            return max(moment_of(text).timestamp(), 0.0)
        except ValueError:
            self.fail(f"{text!r} is neither a time like 2026-01-31T09:30:00Z nor a duration like 2h (from now)", param, ctx)


@click.command(short_help="Keep jobs from being sent.")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help='Print {"jobs": [{"id", "state", "problem", ...}]}.')
@click.pass_context
def cancel(context: click.Context, job_ids: Sequence[str], as_json: bool) -> None:
    """Keep jobs from being sent: those that wait for their time or their next attempt, on a queue or in the store, and those that
    nobody has begun. A job that is being sent can't be cancelled any more.

    \b
    Example:  chopar jobs cancel 5f0c6f0e-3a3c-5d0e-8f5e-0d8b7c0a9b11
    """
    came = asyncio.run(wish(job_ids, lambda ledger, id, now: ledger.cancel(id, now)))
    tell(context, came, "cancelled", as_json)


@click.command(short_help="Give a job another time.")
@click.argument("job_id", metavar="ID")
@click.argument("when", metavar="TIME", type=When())
@click.option("--json", "as_json", is_flag=True, help='Print {"jobs": [{"id", "state", "due", "problem", ...}]}.')
@click.pass_context
def move(context: click.Context, job_id: str, when: float, as_json: bool) -> None:
    """Send a job at TIME (RFC 3339, or how long from now) and not before. It must wait for its time or for its next attempt.

    A job that waits on one of RabbitMQ's delay queues comes back when that delay is over, at the earliest.

    \b
    Example:  chopar jobs move 5f0c6f0e-3a3c-5d0e-8f5e-0d8b7c0a9b11 2026-12-24T09:00:00+01:00
              chopar jobs move 5f0c6f0e-3a3c-5d0e-8f5e-0d8b7c0a9b11 2h
    """
    came = asyncio.run(wish([job_id], lambda ledger, id, now: ledger.move(id, when, now)))
    tell(context, came, "moved", as_json)


@click.command(short_help="Say what came of jobs that are unknown.")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--arrived", "verdict", flag_value="arrived", help="The mail arrived: the job is sent.")
@click.option("--again", "verdict", flag_value="again", help="It did not: another round of attempts.")
@signed
@click.option("--json", "as_json", is_flag=True, help='Print {"jobs": [{"id", "state", "problem", ...}]}.')
@click.pass_context
def decide(context: click.Context, job_ids: Sequence[str], verdict: str | None, by: str, note: str, as_json: bool) -> None:
    """Say what came of jobs that are `unknown`: the mail server's log tells, by the Message-ID, which begins with the job's ID.

    \b
    Example:  chopar jobs decide 5f0c6f0e-3a3c-5d0e-8f5e-0d8b7c0a9b11 --arrived --note "stands in the server's log"
              chopar jobs decide 5f0c6f0e-3a3c-5d0e-8f5e-0d8b7c0a9b11 --again
    """
    if verdict is None:
        raise click.UsageError("--arrived or --again")
    tell(context, asyncio.run(_decide(job_ids, "arrived" if verdict == "arrived" else "again", by, note)), "decided", as_json)


async def _decide(ids: Sequence[str], verdict: "Verdict", by: str, note: str) -> list[Came]:
    from brokers.discovery import read_settings
    from chopar.stored import reading_store
    from rabbit.deciding import Deciding
    from streams.parts import CurrentRules

    settings, came = read_settings(), []
    async with reading_store(settings) as store:
        ledger = store.ledger(settings.unknown_outcome)
        deciding = Deciding(store.jobs, store.log, ledger, CurrentRules(settings).read)
        for id in ids:
            problem = await deciding.decide(id, verdict, by, note)
            after = await store.jobs.job(id)
            came.append(Came(id, None if after is None else after.job.state, problem=problem))
    return came


async def wish(ids: Sequence[str], want: Wish) -> list[Came]:
    """Asks the ledger for each, and tells of it on `chopar.lifecycle` if RabbitMQ answers."""
    from brokers.discovery import read_settings
    from chopar.stored import reading_store

    settings = read_settings()
    came, changed = [], []
    async with reading_store(settings) as store:
        ledger = store.ledger(settings.unknown_outcome)
        for id in ids:
            before = await store.jobs.job(id)
            is_job = before is not None or _is_id(id)
            problem = await want(ledger, id, time.time()) if is_job else f"{UNHEARD}, and this is no ID that Chopar gives"
            after = await store.jobs.job(id)
            state = None if after is None else after.job.state
            due = None if after is None or after.job.due is None else rfc3339(after.job.due)
            came.append(Came(id, state, due, problem, before is None))
            if problem is None and after is not None and after != before:
                changed.append(after.job)
    await _announce(settings, changed)
    return came


def tell(context: click.Context, came: Sequence[Came], done: str, as_json: bool) -> None:
    """Prints what came of it; exit code 1 if not all could be done."""
    if as_json:
        write_json({"jobs": came})
    for one in came:
        if one.problem is not None:
            say(f"chopar: job {printable(one.id)} can't be {done}: {one.problem}")
        elif not as_json:
            about = f" to {moment(one.due or '')} UTC" if done == "moved" else ""
            unheard = f" ({UNHEARD}: its message will be dropped when it comes)" if one.unheard else ""
            print(f"{done} {one.id}{about}{unheard}")  # noqa: T201 - it is what was asked for
    if any(one.problem is not None for one in came):
        context.exit(1)


def _is_id(text: str) -> bool:
    """Whether a job may have this ID. A typing error must not stand in the ledger for ever."""
    with contextlib.suppress(ValueError):
        return str(uuid.UUID(text)) == text
    return False


async def _announce(settings: Settings, jobs: Sequence["JobRow"]) -> None:
    """Best effort, as all that is told there: what was wished is in the ledger."""
    from rabbit.lifecycle import Change, announce

    if settings.rabbit_url is None or not jobs:
        return
    told = [
        Change(
            job.id, job.rule, job.user_id, job.state, job.attempt, job.updated, "", job.due if job.state == "scheduled" else None
        )
        for job in jobs
    ]
    with contextlib.suppress(ChoparError):
        await announce(settings.rabbit_url, told)

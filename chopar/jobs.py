"""`chopar jobs`: the emails and how far they are."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast, get_args

import click
import msgspec

from activity.errors import ChoparError
from activity.events import rfc3339
from activity.jobs import JobState
from chopar.pool import COMMANDS
from chopar.terminal import cell, fitting, moment, out, say, table, write_json

if TYPE_CHECKING:
    from store.jobs import AttemptRow, JobHistory, JobRow

STYLES = {"sent": "green", "dead": "red", "unknown": "yellow"}


class Jobs(click.Command):
    """The command, and those beside it: their names stand where an ID would, and no job has such an ID."""

    def make_context(self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any) -> Any:
        beside = next((command for command in COMMANDS if args and command.name == args[0]), None)
        if beside is None:
            return super().make_context(info_name, args, parent, **extra)
        context = beside.make_context(f"{info_name} {beside.name}", args[1:], parent, **extra)
        context.command = beside
        return context

    def invoke(self, context: click.Context) -> Any:
        return super().invoke(context) if context.command is self else context.command.invoke(context)

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(str(command.name), command.get_short_help_str()) for command in COMMANDS])


@click.command(cls=Jobs, short_help="Show the emails and how far they are; pause and resume the mailers.")
@click.argument("job_id", metavar="[ID]", required=False)
@click.option("--state", type=click.Choice(get_args(JobState)), help="Only jobs in this state.")
@click.option("--user", help="Only jobs of this user.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many jobs.")
@click.option("--after", metavar="ID", help="The page after this job.")
@click.option("--json", "as_json", is_flag=True, help='Print {"jobs", "counts", "queues"}, or {"job", "attempts"} for one ID.')
def jobs(job_id: str | None, state: str | None, user: str | None, limit: int, after: str | None, as_json: bool) -> None:
    """Show the jobs, newest first, and how many wait on RabbitMQ's queues. With an ID: that job and each attempt at it.

    \b
    Example:  chopar jobs --state dead
              chopar jobs 5f0c6f0e-3a3c-5d0e-8f5e-0d8b7c0a9b11 --json
    """
    if job_id is not None:
        if state or user or after:
            raise click.UsageError("an ID names one job; --state, --user and --after choose among all")
        history = asyncio.run(read_one(job_id))
        if as_json:
            write_json({"job": document(history.job), "attempts": [attempt(row) for row in history.attempts]})
        else:
            show_one(history)
        return
    found, counts, queues = asyncio.run(read_all(cast(JobState | None, state), user, limit, after))
    if as_json:
        write_json({"jobs": [document(job) for job in found], "counts": counts, "queues": queues})
    else:
        show_all(found, counts, queues)


async def read_one(job_id: str) -> "JobHistory":
    """The job and its attempts. Raises ChoparError if there is none."""
    from brokers.discovery import read_settings
    from chopar.stored import reading_store

    async with reading_store(read_settings()) as store:
        history = await store.jobs.job(job_id)
    if history is None:
        raise ChoparError(f"there is no job {job_id} in the ledger; it may still wait on its queue")
    return history


async def read_all(
    state: JobState | None, user: str | None, limit: int, after: str | None
) -> tuple[list["JobRow"], dict[JobState, int], dict[str, int] | None]:
    """Jobs, how many there are in each state, and how many messages each queue holds (None: RabbitMQ does not answer)."""
    from brokers.discovery import read_settings
    from chopar.queues import depths
    from chopar.stored import reading_store

    settings = read_settings()
    async with reading_store(settings) as store:
        found = await store.jobs.jobs(state=state, user=user, limit=limit, after=after)
        counts = await store.jobs.counts()
    try:
        queues = None if settings.rabbit_url is None else await depths(settings.rabbit_url)
    except ChoparError as error:
        say(str(error))
        queues = None
    return found, counts, queues


def document(job: "JobRow") -> dict[str, Any]:
    """A job as JSON."""
    return {
        "id": job.id,
        "state": job.state,
        "attempt": job.attempt,
        "reason": job.reason,
        "user": job.user_id,
        "to": job.recipient,
        "rule": job.rule,
        "class": job.job_class,
        "task": job.task,
        "template": job.template,
        "event": {"source": job.source, "id": job.event_id},
        "created": rfc3339(job.created),
        "updated": rfc3339(job.updated),
        "doubtful": job.doubtful,
    }


def attempt(row: "AttemptRow") -> dict[str, Any]:
    """An attempt as JSON; `outcome` is null while it is being done, else its `type` says which one it is."""
    return {
        "number": row.number,
        "owner": row.owner,
        "started": rfc3339(row.started),
        "finished": None if row.finished is None else rfc3339(row.finished),
        "outcome": None if row.outcome is None else msgspec.to_builtins(row.outcome),
    }


def show_one(history: "JobHistory") -> None:
    """Two tables for people."""
    job = history.job
    facts = table(f"Job {cell(job.id)}", ("fact", "value"), flexible=("value",))
    facts.show_header = False
    for name, value in document(job).items():
        text = " ".join(value.values()) if isinstance(value, dict) else value
        facts.add_row(cell(name), cell(text, STYLES.get(job.state, "") if name == "state" else "", wrap=True))
    columns = ("#", "started (UTC)", "seconds", "outcome", "detail")
    tries = table("Attempts", columns, right=("#", "seconds"), flexible=("detail",))
    for row in history.attempts:
        told = attempt(row)["outcome"] or {"type": "claimed"}
        seconds = "" if row.finished is None else f"{row.finished - row.started:.2f}"
        detail = " ".join(str(told[name]) for name in ("reason", "reply") if told.get(name))
        tries.add_row(
            cell(row.number), cell(moment(attempt(row)["started"])), cell(seconds), cell(told["type"]), cell(detail, wrap=True)
        )
    out().print(facts)
    out().print()
    out().print(tries)


def show_all(found: Sequence["JobRow"], counts: dict[JobState, int], queues: dict[str, int] | None) -> None:
    """Tables for people."""
    columns = ("id", "updated (UTC)", "user", "rule", "state", "attempt", "reason")
    rows = []
    for job in found:
        state = cell(job.state, STYLES.get(job.state, ""))
        facts = (cell(job.id), cell(moment(rfc3339(job.updated))), cell(job.user_id), cell(job.rule))
        rows.append((*facts, state, cell(job.attempt), cell(job.reason)))
    drop = ("updated (UTC)", "attempt", "rule", "user")
    out().print(fitting("Jobs", columns, rows, drop=drop, right=("attempt",), flexible=("user", "rule", "reason")))
    out().print()
    out().print("ledger   " + "  ".join(f"{state} {number:,}" for state, number in counts.items()))
    told = "RabbitMQ does not answer" if queues is None else "  ".join(f"{name} {number:,}" for name, number in queues.items())
    out().print("queues   " + told)

"""`chopar jobs`: the emails and how far they are."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

import click
import msgspec

from activity.errors import ChoparError
from activity.events import rfc3339
from activity.jobs import JobState
from chopar import pool
from chopar.changes import Wanted, follow_changes
from chopar.history import STYLES, document, show, show_job
from chopar.terminal import cell, fitting, moment, out, say, write_json
from chopar.wishes import cancel, decide, move

if TYPE_CHECKING:
    from activity.ledger import JobRow

COMMANDS = (show, cancel, move, decide, *pool.COMMANDS)


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


class Choice(msgspec.Struct, frozen=True):
    """Which jobs."""

    state: JobState | None
    user: str | None
    limit: int
    after: str | None
    scheduled: bool


@click.command(cls=Jobs, short_help="Show the emails and how far they are; cancel or move them; pause the mailers.")
@click.argument("job_id", metavar="[ID]", required=False)
@click.option("--state", type=click.Choice(get_args(JobState)), help="Only jobs in this state.")
@click.option("--user", help="Only jobs of this user.")
@click.option("--scheduled", is_flag=True, help="Only jobs that wait for their time, the next one first.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many jobs.")
@click.option("--after", metavar="ID", help="The page after this job.")
@click.option("--follow", is_flag=True, help="Each change of a job from now on, a line each, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help='Print {"jobs", "counts", "queues"}; with --follow one change a line.')
def jobs(job_id: str | None, follow: bool, as_json: bool, **chosen: Any) -> None:
    """Show the jobs, newest first, and how many wait on RabbitMQ's queues. With an ID: that job and each attempt at it.

    \b
    Example:  chopar jobs --state dead
              chopar jobs --scheduled
              chopar jobs show 5f0c6f0e-3a3c-5d0e-8f5e-0d8b7c0a9b11 --json
              chopar jobs cancel 5f0c6f0e-3a3c-5d0e-8f5e-0d8b7c0a9b11
    """
    choice = Choice(**chosen)
    if choice.scheduled and choice.state:
        raise click.UsageError("--scheduled is a state; choose one")
    if follow and (choice.scheduled or choice.after):
        raise click.UsageError("--follow tells what changes from now on; --scheduled and --after look at what is there")
    if job_id is not None and (choice.state or choice.user or choice.after or choice.scheduled):
        raise click.UsageError("an ID names one job; --state, --user, --scheduled and --after choose among all")
    if follow:
        asyncio.run(follow_changes(Wanted(job_id, choice.state, choice.user), as_json))
    elif job_id is not None:
        show_job(job_id, as_json)
    else:
        list_jobs(choice, as_json)


def list_jobs(choice: Choice, as_json: bool) -> None:
    """Prints the jobs of a choice."""
    found, counts, queues = asyncio.run(read_all(choice))
    if as_json:
        write_json({"jobs": [document(job) for job in found], "counts": counts, "queues": queues})
    else:
        show_all(found, counts, queues, scheduled=choice.scheduled)


async def read_all(choice: Choice) -> tuple[list["JobRow"], dict[JobState, int], dict[str, int] | None]:
    """Jobs, how many there are in each state, and how many messages each queue holds (None: RabbitMQ does not answer)."""
    from brokers.discovery import read_settings
    from chopar.stored import reading_store
    from rabbit.depths import depths

    settings = read_settings()
    async with reading_store(settings) as store:
        if choice.scheduled:
            found = await store.jobs.scheduled(user=choice.user, limit=choice.limit, after=choice.after)
        else:
            found = await store.jobs.jobs(state=choice.state, user=choice.user, limit=choice.limit, after=choice.after)
        counts = await store.jobs.counts()
    try:
        queues = None if settings.rabbit_url is None else await depths(settings.rabbit_url)
    except ChoparError as error:
        say(str(error))
        queues = None
    return found, counts, queues


def show_all(found: Sequence["JobRow"], counts: dict[JobState, int], queues: dict[str, int] | None, *, scheduled: bool) -> None:
    """Tables for people."""
    time = "due (UTC)" if scheduled else "updated (UTC)"
    columns = ("id", time, "user", "rule", "state", "attempt", "reason")
    rows = []
    for job in found:
        state = cell(job.state, STYLES.get(job.state, ""))
        shown = (job.due or 0.0) if scheduled else job.updated
        facts = (cell(job.id), cell(moment(rfc3339(shown))), cell(job.user_id), cell(job.rule))
        rows.append((*facts, state, cell(job.attempt), cell(job.reason)))
    drop = ("attempt", "reason", "state", "rule", "user") if scheduled else (time, "attempt", "rule", "user")
    out().print(fitting("Jobs", columns, rows, drop=drop, right=("attempt",), flexible=("user", "rule", "reason")))
    out().print()
    out().print("ledger   " + "  ".join(f"{state} {number:,}" for state, number in counts.items()))
    told = "RabbitMQ does not answer" if queues is None else "  ".join(f"{name} {number:,}" for name, number in queues.items())
    out().print("queues   " + told)

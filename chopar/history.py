"""`chopar jobs show`: one job and each attempt at it."""

import asyncio
from typing import TYPE_CHECKING, Any

import click
import msgspec

from activity.errors import ChoparError
from activity.events import rfc3339
from chopar.terminal import cell, moment, out, table, write_json

if TYPE_CHECKING:
    from activity.ledger import AttemptRow, JobHistory, JobRow

STYLES = {"sent": "green", "dead": "red", "unknown": "yellow"}


@click.command(short_help="Show a job and each attempt at it.")
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help='Print {"job", "attempts"}.')
def show(job_id: str, as_json: bool) -> None:
    """Show a job and each attempt at it, with the mail server's words.

    \b
    Example:  chopar jobs show 5f0c6f0e-3a3c-5d0e-8f5e-0d8b7c0a9b11
    """
    show_job(job_id, as_json)


def show_job(job_id: str, as_json: bool) -> None:
    """Prints it. Raises ChoparError if there is none."""
    history = asyncio.run(read_one(job_id))
    if as_json:
        write_json({"job": document(history.job), "attempts": [attempt(row) for row in history.attempts]})
    else:
        show_one(history)


async def read_one(job_id: str) -> "JobHistory":
    """The job and its attempts. Raises ChoparError if there is none."""
    from brokers.discovery import read_settings
    from chopar.stored import reading_store

    async with reading_store(read_settings()) as store:
        history = await store.jobs.job(job_id)
    if history is None:
        raise ChoparError(f"there is no job {job_id} in the ledger; it may still wait on its queue")
    return history


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
        "due": None if job.due is None else rfc3339(job.due),
        "doubtful": job.doubtful,
        "repeats": job.repeats,
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

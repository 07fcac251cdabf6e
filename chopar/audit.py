"""`chopar audit`: whether every record is accounted for."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import time
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from activity.accounts import AUDIT_SWITCH, Sums, Verdict
from activity.errors import ChoparError
from chopar.terminal import cell, err, fitting, out, printable, say, write_json

if TYPE_CHECKING:
    from chopar.auditing import Advance, Audited

EQUATION: Final = ("logged", "late", "duplicate", "dead", "waiting")


@click.command(short_help="Count every record, and name those that don't add up.")
@click.option("--json", "as_json", is_flag=True, help='Print {"ok", "total", "partitions", "jobs", "queues", "differences"}.')
@click.pass_context
def audit(context: click.Context, as_json: bool) -> None:
    """Count what came of every record of `activity.events`, from what stands on Kafka and in the store:
    read = logged + late + duplicate + dead + waiting.

    It may run while everything else does. Exit code 1 if something does not add up; each such record is named with topic,
    partition and offset.

    \b
    Example:  chopar audit
              chopar audit --json | jq '.differences[]'
    """
    from chopar.auditing import tables

    with tables() as kept:
        found, queues = asyncio.run(run(kept))
        if as_json:
            write_json(document(found, queues))
        else:
            show(found, queues)
        if not found.ok:
            context.exit(1)


async def run(kept: Any) -> tuple["Audited", dict[str, int] | None]:
    """The audit, and how many messages RabbitMQ's queues hold (None: it does not answer). Raises ChoparError."""
    from brokers.discovery import read_settings
    from chopar.auditing import audit
    from rabbit.depths import depths

    settings = read_settings()
    with _progress() as advance:
        found = await audit(settings, kept, advance)
    try:
        queues = None if settings.rabbit_url is None else await depths(settings.rabbit_url)
    except ChoparError as error:
        say(str(error))
        queues = None
    await _note(settings.store_url, Verdict(time(), found.ok, found.total.read, len(found.differences)))
    return found, queues


async def _note(store_url: str, verdict: Verdict) -> None:
    """The console's overview shows it."""
    from store.opening import open_store

    async with open_store(store_url) as store:
        await store.switches.write(AUDIT_SWITCH, msgspec.json.encode(verdict).decode(), verdict.at)


def document(found: "Audited", queues: dict[str, int] | None) -> dict[str, Any]:
    """The audit as JSON."""
    return {
        "ok": found.ok,
        "total": _sums(found.total),
        "partitions": [{"partition": number, **_sums(sums)} for number, sums in enumerate(found.partitions)],
        "jobs": found.jobs,
        "queues": queues,
        "differences": list(found.differences),
    }


def _sums(sums: Sums) -> dict[str, int]:
    return {"read": sums.read, **msgspec.structs.asdict(sums)}


def show(found: "Audited", queues: dict[str, int] | None) -> None:
    """Tables for people, then each record that differs, then the verdict."""
    total = found.total
    columns = ("read", *EQUATION, *(name for name in ("lost", "unchecked") if getattr(total, name)))
    out().print(_table("What came of every record of activity.events", columns, found))
    out().print(f"not read yet {total.unread:,}, ticks {total.ticks:,}, moved to where they belong {total.moved:,}\n")
    out().print(_table("activity.log and the store", ("log", "repeated", "stored", "unstored", "refused"), found))
    out().print()
    _show_jobs(found, queues)
    for one in found.differences:
        place = f"{one.topic}/{one.partition}/{one.offset}"
        out().print(f"{place}  {one.kind}: {printable(one.problem)}", style="red", soft_wrap=True)
    if total.unchecked:
        out().print(f"{total.unchecked:,} can't be checked: what became of them may be among what retention has deleted")
    if found.ok:
        out().print("All sums add up: every record is accounted for, every position stands once.", style="bold green")
    else:
        out().print(f"It does not add up: {len(found.differences):,} records differ.", style="bold red")


def _table(title: str, columns: tuple[str, ...], found: "Audited") -> Any:
    rows = [
        [cell(name), *(cell(f"{getattr(sums, column):,}", _style(column, sums)) for column in columns)]
        for name, sums in [*((str(number), sums) for number, sums in enumerate(found.partitions)), ("all", found.total)]
    ]
    return fitting(title, ("partition", *columns), rows, drop=(), right=("partition", *columns))


def _style(column: str, sums: Sums) -> str:
    return "red" if column == "lost" and sums.lost else ""


def _show_jobs(found: "Audited", queues: dict[str, int] | None) -> None:
    states = ", ".join(f"{state} {count:,}" for state, count in found.jobs.items())
    out().print(f"Jobs in the ledger: {states}")
    if queues is not None:
        out().print("Messages on RabbitMQ: " + ", ".join(f"{name} {count:,}" for name, count in queues.items()))
    out().print()


@contextmanager
def _progress() -> Iterator["Advance"]:
    """Bars on a terminal, one for each thing that is read."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:>22}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err(), transient=True) as progress:
        tasks: dict[str, Any] = {}

        def advance(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], advance=done, total=total)

        yield advance

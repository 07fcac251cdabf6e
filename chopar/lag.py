"""`chopar lag`: how far the workers are behind what comes."""

import asyncio
import sys
from contextlib import aclosing, nullcontext
from math import isinf
from typing import TYPE_CHECKING, Any

import click

from activity.pace import Pace, Reader, duration
from chopar.terminal import cell, fitting, out, write_json

if TYPE_CHECKING:
    from rich.console import Group as Tables
    from rich.table import Table


@click.command(short_help="Show how far the workers are behind.")
@click.option("--interval", type=click.FloatRange(0.5, 3600), default=2.0, show_default=True, help="Seconds between two looks.")
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help='Print {"readers": [{"agent", "group", "partitions": […], …}]}.')
def lag(interval: float, watch: bool, as_json: bool) -> None:
    """Show, by partition, how far sequencer, archiver, desk and notifier have read, what is left, and who reads it.

    Position is what they have committed, about twice a second: all before it is done. The rates are those between two
    looks. Whoever reads no faster than records come never catches up at this rate; what he reads within a second is on
    its way, and no backlog.

    \b
    Example:  chopar lag
              chopar lag --watch --interval 5
              chopar lag --json | jq '.readers[] | {agent, lag, catch_up}'
    """
    asyncio.run(show_all(interval, watch=watch, as_json=as_json))


async def show_all(interval: float, *, watch: bool, as_json: bool) -> None:
    """Shows one look, or all of them until it is interrupted. Raises ChoparError."""
    from rich.live import Live

    from brokers.discovery import read_settings
    from streams.lag import looks

    live = Live(console=out(), auto_refresh=False) if watch and not as_json and sys.stdout.isatty() else nullcontext()
    with live as screen:
        async with aclosing(looks(read_settings(), interval)) as found:
            async for readers in found:
                if as_json:
                    write_json({"readers": [document(reader) for reader in readers]})
                elif screen is None:
                    out().print(shown(readers))
                else:
                    screen.update(shown(readers), refresh=True)
                if not watch:
                    return


def document(reader: Reader) -> dict[str, Any]:
    """A reader as JSON; `catch_up` is null for never."""
    return {
        "agent": reader.agent,
        "group": reader.group,
        "topic": reader.topic,
        "state": reader.state,
        "members": reader.members,
        **figures(reader.all),
        "partitions": [
            {
                "partition": standing.partition,
                "position": standing.look.position,
                "end": standing.look.end,
                **figures(standing.pace),
                "owner": standing.owner,
            }
            for standing in reader.partitions
        ],
    }


def figures(pace: Pace) -> dict[str, float | None]:
    """A pace as JSON."""
    return {
        "lag": pace.lag,
        "expired": pace.expired,
        "rate": round(pace.rate, 1),
        "arrival": round(pace.arrival, 1),
        "catch_up": None if isinf(pace.catch_up) else round(pace.catch_up, 1),
    }


def shown(readers: list[Reader]) -> "Tables":
    """Tables for people, one a reader."""
    from rich.console import Group as Tables
    from rich.text import Text

    parts: list[Table | Text] = []
    for reader in readers:
        parts += [_table(reader), cell(_summary(reader), "" if reader.members else "yellow", wrap=True), Text()]
    return Tables(*parts[:-1])


def _table(reader: Reader) -> "Table":
    columns = ("partition", "position", "end", "lag", "reads/s", "comes/s", "caught up in", "owner")
    rows = []
    for standing in reader.partitions:
        found, position = standing.pace, standing.look.position
        figures = (
            str(standing.partition),
            "-" if position is None else f"{position:,}",
            f"{standing.look.end:,}",
            f"{found.lag:,}",
            f"{found.rate:,.0f}",
            f"{found.arrival:,.0f}",
            duration(found.catch_up) if found.catch_up else "",
        )
        style = "yellow" if isinf(found.catch_up) else ""
        rows.append(
            (*(cell(text, style) for text in figures), cell(standing.owner or "nobody", "" if standing.owner else "yellow"))
        )
    title = f"{reader.agent} (group {reader.group}) of {reader.topic}"
    return fitting(title, columns, rows, drop=("comes/s", "end", "position"), right=columns[:-1], flexible=("owner",))


def _summary(reader: Reader) -> str:
    found = reader.all
    if not reader.members:
        told = "no worker runs" if reader.state in ("Empty", "Dead") else f"no worker has joined ({reader.state})"
    else:
        told = f"{reader.members} worker{'' if reader.members == 1 else 's'}, {reader.state}"
    parts = [f"lag {found.lag:,}", f"reads {found.rate:,.0f}/s", f"{found.arrival:,.0f}/s come", told]
    if found.catch_up:
        parts.append("never caught up at this rate" if isinf(found.catch_up) else f"caught up in {duration(found.catch_up)}")
    if found.expired:
        parts.append(f"{found.expired:,} records were deleted by Kafka before they were read")
    return ", ".join(parts)

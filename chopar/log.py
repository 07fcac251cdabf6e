"""`chopar log`: what a user did."""

import asyncio
from typing import TYPE_CHECKING, Any

import click
import msgspec

from chopar.terminal import cell, fitting, moment, out, say, write_json

if TYPE_CHECKING:
    from store.log import Entry


@click.command(short_help="Show what a user did.")
@click.argument("user")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many events.")
@click.option("--before", type=click.IntRange(1), metavar="POS", help="Only positions before this one.")
@click.option("--type", "type_", metavar="TYPE", help="Only events of this type.")
@click.option("--json", "as_json", is_flag=True, help='Print {"user", "events": […], "before"}; `before` is for the next page.')
def log(user: str, limit: int, before: int | None, type_: str | None, as_json: bool) -> None:
    """Show what USER did: the activity log, newest first.

    \b
    Example:  chopar log u-42
              chopar log u-42 --type order.placed --json
    """
    entries = asyncio.run(read(user, limit, before, type_))
    more = entries[-1].position if len(entries) == limit and entries[-1].position > 1 else None
    if as_json:
        write_json({"user": user, "events": [document(entry) for entry in entries], "before": more})
        return
    show(user, entries, filtered=type_ is not None or before is not None)
    if more is not None:
        say(f"older ones: --before {more}")


async def read(user: str, limit: int, before: int | None, type_: str | None) -> list["Entry"]:
    """From the store that the settings name. Raises ChoparError."""
    from brokers.discovery import read_settings
    from chopar.stored import reading_store

    async with reading_store(read_settings()) as store:
        return await store.log.read(user, before=before, limit=limit, type=type_)


def document(entry: "Entry") -> dict[str, Any]:
    """The event as it stands on `activity.log`, with its position, verdict and time of receipt, and where it stands."""
    origin = {"partition": entry.kafka_partition, "offset": entry.kafka_offset}
    return {
        "position": entry.position,
        "verdict": entry.verdict,
        "type": entry.type,
        "source": entry.source,
        "id": entry.event_id,
        "sequence": entry.sequence,
        "time": entry.time,
        "received": entry.received,
        "kafka": origin,
        "event": msgspec.Raw(entry.event),
    }


def show(user: str, entries: list["Entry"], *, filtered: bool = False) -> None:
    """A table for people. `filtered`: others were left out."""
    if not entries:
        say(f"nothing is logged for {cell(user)}{' that matches' if filtered else ''}")
        return
    columns = ("#", "received (UTC)", "type", "source", "seq", "verdict", "data")
    rows = []
    for entry in entries:
        style = "yellow" if entry.verdict == "late" else ""
        row = (
            cell(entry.position),
            cell(moment(entry.received)),
            cell(entry.type),
            cell(entry.source),
            cell(entry.sequence),
            cell(entry.verdict, style),
            cell(summary(entry.event)),
        )
        rows.append(row)
    title, drop = f"Activity of {cell(user)}", ("source", "data", "received (UTC)", "verdict")
    out().print(fitting(title, columns, rows, drop=drop, right=("#", "seq"), flexible=("source", "data")))


def summary(event: bytes, width: int = 60) -> str:
    """The event's data in one short line."""
    try:
        data = msgspec.json.decode(event).get("data")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "?"
    if data is None:
        return ""
    facts = [f"{name}: {_short(value)}" for name, value in data.items()] if isinstance(data, dict) else [_short(data)]
    text = ", ".join(facts)
    return text if len(text) <= width else text[: width - 1] + "…"


def _short(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{len(value)}]"
    return msgspec.json.encode(value).decode()

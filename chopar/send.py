"""`chopar send`: events from a file or a pipe to Kafka."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import click
import msgspec

from chopar.terminal import err, printable, say, write_json

if TYPE_CHECKING:
    from chopar.records import Record
    from streams.tracing import SendEvent

SHOWN = 20
"""So many refused records are named; the others are counted."""


class Terms(msgspec.Struct, frozen=True):
    """How to treat what comes in."""

    raw: bool
    key: bytes | None
    strict: bool


class Sent(msgspec.Struct):
    """What came of it."""

    sent: int = 0
    refused: int = 0


@click.command(short_help="Send events from a file or a pipe.")
@click.argument("file", type=click.File("rb", lazy=False))
@click.option("--strict", is_flag=True, help="Send nothing if one of them is no event.")
@click.option("--raw", is_flag=True, help="Send each line unchecked.")
@click.option("--key", help="With --raw: the key of every record (default: none).")
@click.option("--json", "as_json", is_flag=True, help='Print {"sent": n, "refused": n}.')
@click.pass_context
def send(context: click.Context, file: IO[bytes], strict: bool, raw: bool, key: str | None, as_json: bool) -> None:
    """Send events to `activity.events`: CloudEvents as JSON lines, or as one JSON array. FILE may be - for standard input.

    Each is checked, gets its `subject` as its key, and is confirmed by Kafka. One that is no event is refused with its
    line and the reason; the others are sent, and the exit code is 1.

    \b
    Example:  chopar send examples/events.jsonl
              tail -f app.log | chopar send -
    """
    if key is not None and not raw:
        raise click.UsageError("--key is for --raw; an event's key is its subject")
    if raw and strict:
        raise click.UsageError("--strict checks, --raw does not; choose one")
    terms = Terms(raw, None if key is None else key.encode(), strict)
    result = asyncio.run(run(file, terms))
    if as_json:
        write_json(result)
    elif result.sent or not result.refused:
        say(f"sent {result.sent:,} record{'' if result.sent == 1 else 's'}")
    if result.refused:
        if not as_json:
            say(f"refused {result.refused:,}" + ("; nothing was sent" if strict else ""))
        context.exit(1)


async def run(file: IO[bytes], terms: Terms) -> Sent:
    """Reads, checks, sends. Raises ChoparError."""
    from brokers.discovery import read_settings
    from chopar.delivery import delivering
    from rabbit.tracing import start_tracing
    from streams.topics import ensure_topics
    from streams.tracing import traced_events

    settings, tracing = read_settings(), start_tracing("chopar-send")
    result = Sent()
    if terms.strict:
        file = await checked_copy(file, result)
        if result.refused:
            return result
    await ensure_topics(settings)
    async with delivering(settings) as delivery:
        send = traced_events(delivery.send, tracing)
        with _progress(file) as advance:
            async for record, size in records(file, terms):
                await _one(record, terms, send, result)
                advance(size)
            await delivery.flush()
        result.sent = delivery.confirmed
    return result


async def records(file: IO[bytes], terms: Terms) -> AsyncIterator[tuple["Record", int]]:
    """The records of `file`, each with the bytes that were read since the one before."""
    from chopar.reading import pieces
    from chopar.records import Lines, Splitter

    splitter = Lines() if terms.raw else Splitter()
    async for piece in pieces(file.fileno()):
        size = len(piece)
        for record in splitter.feed(piece):
            yield record, size
            size = 0
    for record in splitter.end():
        yield record, 0


async def checked_copy(file: IO[bytes], result: Sent) -> IO[bytes]:
    """Checks all records, and gives a file to send them from: a pipe can be read only once."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller sends from it; it is gone with its last reference
    async for record, _ in records(file, Terms(raw=False, key=None, strict=True)):
        if user_of(record, result) is not None:
            copy.write(record.value.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n")
    copy.seek(0)
    os.lseek(copy.fileno(), 0, os.SEEK_SET)
    return copy


async def _one(record: "Record", terms: Terms, send: "SendEvent", result: Sent) -> None:
    from activity.names import EVENTS

    if terms.raw:
        if record.problem:
            refuse(record.number, "too-big", record.problem, result)
        else:
            await send(EVENTS, terms.key, record.value)
        return
    user = user_of(record, result)
    if user is not None:
        await send(EVENTS, user.encode(), record.value)


def user_of(record: "Record", result: Sent) -> str | None:
    """Whose event it is; None if it is none, which is then told and counted."""
    from activity.events import Refused, decode

    event = Refused("not-json", record.problem) if record.problem else decode(None, record.value)
    if isinstance(event, Refused):
        refuse(record.number, event.reason, event.problem, result)
        return None
    return event.user


def refuse(number: int, reason: str, problem: str, result: Sent) -> None:
    """Tells of a record that is not sent."""
    result.refused += 1
    if result.refused <= SHOWN:
        say(f"line {number}: {reason}: {printable(problem)}")
    elif result.refused == SHOWN + 1:
        say("… further ones are only counted")


@contextmanager
def _progress(file: IO[bytes]) -> Iterator[Any]:
    """A progress bar on a terminal; its function takes the bytes that were dealt with."""
    if not sys.stderr.isatty():
        yield lambda size: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    size = os.fstat(file.fileno()).st_size or None
    columns = (TextColumn("sending"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err(), transient=True) as progress:
        task = progress.add_task("sending", total=size)
        yield lambda size: progress.advance(task, size)

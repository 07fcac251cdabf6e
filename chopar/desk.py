"""`chopar dead edit`, `replay`, `discard`, `undo`: what a person does with dead letters."""

import asyncio
import getpass
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from activity.errors import ChoparError
from activity.settings import Settings
from chopar.filters import filtered, wanted_of
from chopar.terminal import cell, out, printable, say, write_json

if TYPE_CHECKING:
    from activity.redelivery import Again
    from rabbit.redelivery import Came, Redelivery
    from store.deadletters import Wanted
    from store.opening import Store

F = TypeVar("F", bound=Callable[..., Any])
Act = Callable[["Store", str], Awaitable[str | None]]


def signed(command: F) -> F:
    """Gives a command the options that say who acts, and why."""
    by = click.option("--by", default=getpass.getuser, show_default="you", help="Whose doing it is.")
    return by(click.option("--note", default="", help="Why; it is kept with the letter.")(command))


@click.command(short_help="Change what a letter says before it is replayed.")
@click.argument("id")
@click.option("--payload", type=click.File("rb"), help="The new payload; - for standard input. Default: opens $EDITOR.")
@click.option("--original", is_flag=True, help="Take the edit back: the payload is again as it came.")
@signed
@click.pass_context
def edit(context: click.Context, id: str, payload: IO[bytes] | None, original: bool, by: str, note: str) -> None:
    """Change what a letter says, show the difference, and whether it would be accepted now. What came stays beside it.

    An edited event is sent in structured mode, with its subject as its key.

    \b
    Example:  chopar dead edit 5f0c6f0e-3a3c-5d0e-8f5e-0d8b7c0a9b11
              chopar dead edit 5f0c6f0e-3a3c-5d0e-8f5e-0d8b7c0a9b11 --payload mended.json
    """
    if payload is not None and original:
        raise click.UsageError("--original takes the edit back, --payload makes one; choose one")
    context.exit(asyncio.run(_edit(id, None if payload is None else payload.read(), by, note, original=original)))


@click.command(short_help="Send letters again, if they would be accepted now.")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@filtered
@click.option("--all", "everything", is_flag=True, help="All that are open.")
@click.option("--per-second", type=click.FloatRange(0.001), help="At most so many a second. Default: as fast as it goes.")
@click.option("--dry-run", is_flag=True, help="Say what would come of it, and change nothing.")
@signed
@click.option("--json", "as_json", is_flag=True, help='Print {"id", "problem", "notes"} for each, a line each.')
@click.pass_context
def replay(
    context: click.Context,
    /,
    ids: Sequence[str],
    everything: bool,
    per_second: float | None,
    dry_run: bool,
    by: str,
    note: str,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Send letters again, named or chosen: an event to `activity.events`, a job to its queue as another round of attempts.

    Each is sent once, however often it is asked for. What would not be accepted now stays open. If it is cut short, run it again.
    Exit code 1 if not all were replayed.

    \b
    Example:  chopar dead replay 5f0c6f0e-3a3c-5d0e-8f5e-0d8b7c0a9b11
              chopar dead replay --reason bad-address --since 2h --dry-run
              chopar dead replay --all --per-second 5 --note "mail server mended"
    """
    if sum((bool(ids), any(value is not None for value in chosen.values()), everything)) != 1:
        raise click.UsageError("name letters by ID, choose them by --reason and the like, or say --all")
    act = partial(_dry_run, list(ids)) if dry_run else partial(_replay, list(ids), by, note, per_second)
    context.exit(asyncio.run(act(wanted_of(chosen), as_json)))


@click.command(short_help="Decide that letters are not to be replayed.")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@signed
@click.pass_context
def discard(context: click.Context, ids: Sequence[str], by: str, note: str) -> None:
    """Decide that letters are not to be replayed. They are kept; `chopar dead undo` opens them again.

    \b
    Example:  chopar dead discard 5f0c6f0e-3a3c-5d0e-8f5e-0d8b7c0a9b11 --note "a test of ours"
    """
    context.exit(asyncio.run(_each(ids, lambda store, id: store.letters.discard(id, by, note, time.time()), "discarded")))


@click.command(short_help="Open letters again that were discarded.")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@signed
@click.pass_context
def undo(context: click.Context, ids: Sequence[str], by: str, note: str) -> None:
    """Open letters again that were discarded.

    \b
    Example:  chopar dead undo 5f0c6f0e-3a3c-5d0e-8f5e-0d8b7c0a9b11
    """
    context.exit(asyncio.run(_each(ids, lambda store, id: store.letters.undo(id, by, note, time.time()), "open again")))


@asynccontextmanager
async def desk_store() -> AsyncIterator[tuple[Settings, "Store"]]:
    """The settings and the store. Raises ChoparError if there is none yet."""
    from brokers.discovery import read_settings
    from chopar.stored import reading_store

    settings = read_settings()
    async with reading_store(settings) as store:
        yield settings, store


@asynccontextmanager
async def redelivery() -> AsyncIterator[tuple["Redelivery", "Store"]]:
    """What replays, and the store. Kafka is connected to when the first event is sent."""
    from rabbit.redelivery import Redelivery
    from rabbit.tracing import start_tracing
    from streams.redelivery import redelivery_parts
    from streams.tracing import traced_replay

    async with desk_store() as (settings, store), AsyncExitStack() as stack:
        send = traced_replay(Sending(settings, stack), start_tracing("chopar-dead"))
        parts = redelivery_parts(settings, store, send)
        yield Redelivery(parts), store


class Sending:
    """Sends records to `activity.events`, each confirmed."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self._settings, self._stack = settings, stack
        self._delivery: Any = None

    async def __call__(self, again: "Again") -> None:
        """Raises Unreachable if Kafka does not confirm it."""
        from activity.names import EVENTS
        from chopar.delivery import delivering

        if self._delivery is None:
            self._delivery = await self._stack.enter_async_context(delivering(self._settings))
        await self._delivery.send(EVENTS, again.key, again.value, again.headers)
        await self._delivery.flush()


async def _edit(id: str, payload: bytes | None, by: str, note: str, *, original: bool) -> int:
    from activity.redelivery import compact, difference, draft

    async with redelivery() as (replays, store):
        found = await store.letters.letter(id)
        if found is None:
            raise ChoparError(f"there is no dead letter {printable(id)}")
        letter = found.letter
        if payload is None and not original:
            payload = _in_editor(draft(letter, letter.edited))
        changes = [] if payload is None else difference(draft(letter, letter.edited), payload)
        if payload is not None and not changes:
            say("chopar: nothing was changed")
            return 1
        for line in changes:
            out().print(cell(line, wrap=True))
        edited = None if payload is None else compact(payload)
        if (problem := await store.letters.edit(id, edited, by, note, time.time(), found.newest)) is not None:
            say(f"chopar: letter {printable(id)} can't be edited: {problem}")
            return 1
        _tell_trial(await replays.outlook(id), as_json=False)
    return 0


def _in_editor(text: bytes) -> bytes | None:
    """What a person made of it; None: it was not saved. Raises ChoparError for what is no text."""
    try:
        edited = click.edit(text.decode(), extension=".json")
    except UnicodeDecodeError:
        raise ChoparError("it is no text that an editor could show; use --payload FILE") from None
    return text if edited is None else edited.encode()


async def _dry_run(ids: Sequence[str], wanted: "Wanted", as_json: bool) -> int:
    refused = 0
    async with redelivery() as (replays, store):
        async for came in replays.outlooks(_chosen(replays, store, ids, wanted)):
            refused += came.problem is not None
            _tell_trial(came, as_json=as_json)
    return 1 if refused else 0


async def _chosen(replays: "Redelivery", store: "Store", ids: Sequence[str], wanted: "Wanted") -> AsyncIterator[str]:
    if not ids:
        async for id in replays.open(wanted):
            yield id
    for id in ids:
        if await store.letters.letter(id) is None:
            raise ChoparError(f"there is no dead letter {printable(id)}")
        yield id


async def _replay(ids: Sequence[str], by: str, note: str, per_second: float | None, wanted: "Wanted", as_json: bool) -> int:
    replayed = refused = 0
    async with redelivery() as (replays, store):
        async for came in replays.replay_all(_chosen(replays, store, ids, wanted), by, note, per_second):
            replayed, refused = replayed + (came.problem is None), refused + (came.problem is not None)
            if as_json:
                write_json(came)
            elif came.problem is not None:
                say(f"chopar: letter {printable(came.id)} was not replayed: {printable(came.problem)}")
            else:
                print(f"replayed {came.id}: {printable('; '.join(came.notes))}")  # noqa: T201 - it is what was asked for
    if not as_json:
        say(f"replayed {replayed:,}" + (f", {refused:,} not" if refused else ""))
    return 1 if refused else 0


def _tell_trial(came: "Came", *, as_json: bool) -> None:
    if as_json:
        write_json(came)
    else:
        verdict = "would be accepted" if came.problem is None else f"would be refused: {came.problem}"
        print("; ".join([f"{came.id} {printable(verdict)}", *map(printable, came.notes)]))  # noqa: T201 - it is what was asked for


async def _each(ids: Sequence[str], act: Act, done: str) -> int:
    failed = 0
    async with desk_store() as (_, store):
        for id in ids:
            if (problem := await act(store, id)) is None:
                print(f"{done} {id}")  # noqa: T201 - it is what was asked for
            else:
                failed += 1
                say(f"chopar: letter {printable(id)}: {problem}")
    return 1 if failed else 0

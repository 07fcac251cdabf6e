"""`chopar dead`: the dead-letter desk, over what was refused on Kafka and what could not be sent from RabbitMQ."""

import asyncio
from typing import TYPE_CHECKING, Any

import click

from activity.errors import ChoparError
from activity.events import rfc3339
from chopar.desk import desk_store, discard, edit, replay, undo
from chopar.filters import wanted_of, with_state
from chopar.terminal import cell, fitting, moment, out, printable, table, write_json

if TYPE_CHECKING:
    from store.deadletters import LetterGroup, LetterHistory, LetterSummary, Wanted

STYLES = {"open": "yellow", "replayed": "green", "discarded": "dim"}
FACTS = ("id", "state", "reason", "problem", "origin", "partition", "offset", "job", "attempt", "user", "first_seen", "changed")


@click.group(short_help="See what was refused or could not be sent; edit, replay, discard it.")
def dead() -> None:
    """The dead letters of both brokers: events that were refused, and jobs that can't be done. They are kept in the store, with
    what people did with them.

    \b
    Example:  chopar dead list
              chopar dead show ID
              chopar dead edit ID
              chopar dead replay --reason bad-address --per-second 5
    """


@click.command("list", short_help="Show the dead letters, by reason and one by one.")
@with_state
@click.option("--limit", type=click.IntRange(0, 10_000), default=20, show_default=True, help="At most so many letters.")
@click.option("--after", metavar="ID", help="The page after this letter.")
@click.option("--json", "as_json", is_flag=True, help='Print {"groups": [{"reason", "origin", "open", …}], "letters": […]}.')
def list_letters(limit: int, after: str | None, as_json: bool, **chosen: Any) -> None:
    """Show the dead letters: how many there are of each reason and origin, then the newest ones.

    \b
    Example:  chopar dead list --state open
              chopar dead list --reason conflict --since 2h
              chopar dead list --text ann@shop.example --json
    """
    groups, letters = asyncio.run(read_all(wanted_of(chosen), limit, after))
    if as_json:
        from console import letters as documents

        lines = [documents.line(letter) for letter in letters]
        write_json({"groups": [documents.group(group) for group in groups], "letters": lines})
    else:
        show_all(groups, letters)


@click.command(short_help="Show a dead letter and what was done with it.")
@click.argument("id")
@click.option("--json", "as_json", is_flag=True, help="Print the letter with its headers, payload, edit and actions.")
def show(id: str, as_json: bool) -> None:
    """Show a dead letter: why and where it was refused, its key, headers and payload, what was edited, and who did what.

    \b
    Example:  chopar dead show 5f0c6f0e-3a3c-5d0e-8f5e-0d8b7c0a9b11
    """
    found = asyncio.run(read_one(id))
    if as_json:
        from console import letters as documents

        write_json(documents.letter(found))
    else:
        show_one(found)


for command in (list_letters, show, edit, replay, discard, undo):
    dead.add_command(command)


async def read_all(wanted: "Wanted", limit: int, after: str | None) -> tuple[list["LetterGroup"], list["LetterSummary"]]:
    """The groups of all wanted letters, and a page of them."""
    async with desk_store() as (_, store):
        return await store.letters.groups(wanted), await store.letters.letters(wanted, limit=limit, after=after)


async def read_one(id: str) -> "LetterHistory":
    """The letter. Raises ChoparError if there is none."""
    async with desk_store() as (_, store):
        found = await store.letters.letter(id)
    if found is None:
        raise ChoparError(f"there is no dead letter {printable(id)}; `chopar dead list` shows those that there are")
    return found


def show_all(groups: list["LetterGroup"], letters: list["LetterSummary"]) -> None:
    """Tables for people."""
    columns = ("reason", "origin", "open", "replayed", "discarded", "first (UTC)", "last (UTC)")
    rows = []
    for group in groups:
        counts = (cell(f"{number:,}") for number in (group.open, group.replayed, group.discarded))
        times = (cell(moment(rfc3339(seconds))) for seconds in (group.first, group.last))
        rows.append((cell(group.reason), cell(group.origin), *counts, *times))
    right = ("open", "replayed", "discarded")
    out().print(fitting("By reason", columns, rows, drop=("first (UTC)", "origin"), right=right, flexible=("reason", "origin")))
    if not letters:
        return
    told = ("id", "died (UTC)", "state", "reason", "user", "problem")
    lines = [
        (
            cell(letter.id),
            cell(moment(rfc3339(letter.first_seen))),
            cell(letter.state, STYLES[letter.state]),
            cell(letter.reason),
            cell(letter.user),
            cell(letter.problem),
        )
        for letter in letters
    ]
    out().print()
    drop = ("problem", "user", "died (UTC)", "reason")
    out().print(fitting("Letters", told, lines, drop=drop, flexible=("reason", "user", "problem")))


def show_one(found: "LetterHistory") -> None:
    """What there is of it, for people."""
    from activity.redelivery import difference, draft, pretty
    from console import letters as documents

    letter, known = found.letter, documents.letter(found)
    facts = table(f"Dead letter {cell(letter.id)}", ("fact", "value"), flexible=("value",))
    facts.show_header = False
    for name in FACTS:
        value = getattr(known, name)
        if value not in ("", None):
            facts.add_row(cell(name), cell(value, STYLES[letter.state] if name == "state" else "", wrap=True))
    for name, header in (("key", letter.key), *letter.headers):
        facts.add_row(cell(name), cell("" if header is None else header.decode("utf-8", "backslashreplace"), wrap=True))
    out().print(facts)
    _block("Payload", pretty(letter.payload or b"").decode("utf-8", "backslashreplace").splitlines())
    if letter.edited is not None:
        _block("Edited", difference(draft(letter, None), letter.edited))
    if found.actions:
        actions = table("Actions", ("#", "at (UTC)", "what", "by", "note"), right=("#",), flexible=("note",))
        for one in found.actions:
            told = (one.number, moment(rfc3339(one.at)), one.what, one.by)
            actions.add_row(*map(cell, told), cell(one.note, wrap=True))
        out().print()
        out().print(actions)


def _block(title: str, lines: list[str]) -> None:
    out().print()
    out().print(cell(title, "bold"))
    for text in lines:
        out().print(cell(text, wrap=True))

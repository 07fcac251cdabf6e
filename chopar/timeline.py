"""`chopar timeline`: why a user got a mail, or not."""

import asyncio
from typing import TYPE_CHECKING, Final

import click

from chopar.terminal import moment, out, printable, say, write_json

if TYPE_CHECKING:
    from activity.inspection import StateView
    from activity.letters import LetterStory
    from activity.settings import Settings
    from activity.timeline import EventStory, RuleStory, Timeline
    from console.peers import Peers

STYLES: Final = {"sent": "green", "dead": "red", "unknown": "yellow"}


@click.command(short_help="Show what became of a user's events: rules, mails, the server's words.")
@click.argument("user")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="At most so many entries.")
@click.option("--cursor", metavar="TEXT", help="Where to go on: as the page before says.")
@click.option("--json", "as_json", is_flag=True, help="As /api/users/USER/timeline answers it (docs/http.md).")
def timeline(user: str, limit: int, cursor: str | None, as_json: bool) -> None:
    """Show what became of each event of USER, newest first: its verdict, each rule and why, each mail and each attempt at it;
    and what was refused, or given up, and what was done with it at the desk.

    \b
    Example:  chopar timeline u-42
    """
    found = asyncio.run(read(user, limit, cursor))
    if as_json:
        write_json(found)
    else:
        show(found)


async def read(user: str, limit: int, cursor: str | None) -> "Timeline":
    """From the store and the rules that the settings name, and the worker that runs here. Raises ChoparError."""
    from activity.errors import ChoparError
    from brokers.discovery import read_settings
    from chopar.stored import reading_store
    from console.peers import open_peers
    from console.problems import Problem
    from console.timeline import TimelineQuery, Timelines
    from streams.parts import CurrentRules

    settings = read_settings()
    async with reading_store(settings) as store, open_peers(settings.api_token) as peers:

        async def state(user: str) -> "StateView | None":
            return await ask_worker(settings, peers, user)

        timelines = Timelines(store.log, store.jobs, store.user_letters, CurrentRules(settings).read, state)
        try:
            return await timelines.read(user, TimelineQuery(limit=limit, cursor=cursor))
        except Problem as problem:
            raise ChoparError(f"--cursor: {problem.detail}") from None


async def ask_worker(settings: "Settings", peers: "Peers", user: str) -> "StateView | None":
    """The user's state, from whichever worker has it. Raises Problem if none can tell."""
    from console.peers import Away
    from console.problems import later
    from console.tables import TableEntry
    from streams.membership import web_url

    where = web_url(settings)
    try:
        entry = await peers.ask(where, ("api", "tables", "users", user), {}, TableEntry)
    except Away as away:
        raise later(f"no worker at {where} ({away})") from None
    return None if entry is None else entry.state


def show(found: "Timeline") -> None:
    """A paragraph for each entry."""
    from activity.letters import LetterStory

    for problem in found.problems:
        say(printable(problem))
    if found.waiting:
        _print("waiting", "bold")
        for held in found.waiting:
            _print(f"  {held.type} {held.source} {held.sequence}: {held.why}; since {moment(held.since)}", "yellow")
    if not found.entries:
        say(f"nothing is known of {printable(found.user)}")
    for entry in found.entries:
        if isinstance(entry, LetterStory):
            _letter(entry)
        else:
            _event(entry)
    if found.duplicates:
        say(f"{found.duplicates} duplicates were dropped")
    if found.next is not None:
        say(f"older ones: --cursor {found.next}")


def _event(event: "EventStory") -> None:
    _print(f"{event.position:>4}  {moment(event.received)}  {event.type}  {event.source} {event.id}", "bold")
    if event.verdict == "late" or event.repeats is not None:
        _print(f"      {event.says}", "yellow")
    for rule in event.rules:
        _rule(rule)


def _letter(letter: "LetterStory") -> None:
    _print(f"      {moment(letter.died)}  {letter.reason}  {letter.origin}", "bold")
    _print(f"      {letter.says}", "red" if letter.state == "open" else "")
    if letter.problem:
        _print(f"      {letter.problem}")
    _print(f"        letter {letter.id}" + (f"  job {letter.job}" if letter.job else ""))
    for action in letter.actions:
        _print(f"        {moment(action.at)}  {action.what} by {action.by}  {action.note}".rstrip())


def _rule(rule: "RuleStory") -> None:
    if (job := rule.job) is None:
        _print(f"      {rule.rule}: no mail; {rule.why}", "dim" if not rule.matches else "yellow")
        return
    _print(f"      {rule.rule} to {job.to}: {job.says}", STYLES.get(job.state, ""))
    _print(f"        job {job.id}" + (f"  letter {job.letter}" if job.letter else ""))
    for attempt in job.attempts:
        _print(f"        attempt {attempt.number}  {moment(attempt.started)}  {attempt.outcome}  {attempt.words}")


def _print(text: str, style: str = "") -> None:
    out().print(printable(text), style=style, soft_wrap=True)

"""`chopar jobs pause|resume|workers|status`: orders to the mailers that run."""

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from activity.errors import ChoparError, SettingError
from activity.events import rfc3339
from chopar.terminal import cell, moment, out, say, table, write_json

if TYPE_CHECKING:
    from rabbit.control import Order
    from rabbit.status import Status

as_json = click.option("--json", "as_json", is_flag=True, help='Print {"mailers": [...]}: how each one is.')


@click.command(short_help="Begin no more emails until `resume`.")
@as_json
def pause(as_json: bool) -> None:
    """Begin no more emails: all mailers finish what they are at and leave the rest on its queue.

    The pause stands in the store until `chopar jobs resume`: a mailer that starts later, or did not hear of it, is paused as
    well. Nothing is lost and no attempt is spent.

    \b
    Example:  chopar jobs pause
    """
    show(order("pause"), as_json, "paused; a mailer that starts from now on is paused too, until `chopar jobs resume`")


@click.command(short_help="Send emails again after a pause.")
@as_json
def resume(as_json: bool) -> None:
    """Send emails again after `chopar jobs pause`.

    \b
    Example:  chopar jobs resume
    """
    show(order("resume"), as_json, "go on")


@click.command(short_help="Change how many emails each mailer sends at a time.")
@click.argument("number", type=click.IntRange(1, 64))
@as_json
def workers(number: int, as_json: bool) -> None:
    """Let each mailer that runs send NUMBER emails at a time. One that starts later begins with CHOPAR_MAIL_WORKERS.

    \b
    Example:  chopar jobs workers 5
    """
    answers = order("workers", number)
    show(answers, as_json, f"have {number} workers now")
    _somebody(answers)


@click.command(short_help="Show the mailers and how they are.")
@as_json
def status(as_json: bool) -> None:
    """Show the mailers that run: whether they are paused, whether the mail server answers them, how much they do.

    \b
    Example:  chopar jobs status
    """
    answers = order("status")
    show(answers, as_json, "run")
    _somebody(answers)


COMMANDS = (pause, resume, workers, status)


def order(action: Any, number: int = 1) -> list["Status"]:
    """Gives the order and waits for the answers. Raises ChoparError if RabbitMQ or the store does not answer."""
    from rabbit.control import Order

    return asyncio.run(_give(Order(action, number)))


async def _give(order: "Order") -> list["Status"]:
    from brokers.discovery import read_settings
    from chopar.stored import reading_store
    from rabbit.control import command

    settings = read_settings()
    if settings.rabbit_url is None:
        raise SettingError("CHOPAR_RABBIT_URL", "is not set, and no `chopar up` runs here; set it or start `chopar up`")
    async with reading_store(settings) as store:
        try:
            return await command(settings.rabbit_url, store.switches, order)
        except ChoparError:
            if order.action in ("pause", "resume"):
                say("the mailers did not hear of it, but it stands in the store: they follow when RabbitMQ is back")
            raise


def show(answers: Sequence["Status"], as_json: bool, done: str) -> None:
    """A table for people, and in a line how many did what was ordered."""
    if as_json:
        write_json({"mailers": [document(answer) for answer in answers]})
        return
    columns = ("mailer", "state", "workers", "at a time", "busy", "held", "put off", "attempts", "mail server away since (UTC)")
    made = table("Mailers", columns, right=columns[2:8], flexible=("mailer",))
    for one in answers:
        numbers = (one.workers, one.at_most, one.busy, one.held, one.put_off, one.ended)
        since = "" if one.away_since is None else moment(rfc3339(one.away_since))
        made.add_row(
            cell(one.mailer), cell(one.state, "" if one.state == "running" else "yellow"), *map(cell, numbers), cell(since)
        )
    if answers:
        out().print(made)
        out().print()
    noun = "mailer" if len(answers) == 1 else "mailers"
    out().print(f"{len(answers)} {noun}: {done}" if answers else f"no mailer answered: {done}")


def document(status: "Status") -> dict[str, Any]:
    """A mailer as JSON."""
    since = None if status.away_since is None else rfc3339(status.away_since)
    return {**msgspec.to_builtins(status), "state": status.state, "away_since": since}


def _somebody(answers: Sequence["Status"]) -> None:
    if not answers:
        say("chopar: no mailer answered; is one running? `chopar mailer` starts one")
        sys.exit(1)

"""`chopar demo`: see it work."""

import asyncio
import logging
import secrets
import signal
import sys

import click

from chopar.terminal import say


@click.command(short_help="Send a shop's traffic through it all and check the sums.")
@click.option("--keep", is_flag=True, help="Leave it running until Ctrl-C.")
@click.option("--events", type=click.IntRange(100, 1_000_000), default=2000, show_default=True, help="How many to send.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same traffic.")
@click.option("--deadline", type=click.IntRange(1), default=120, show_default=True, help="Seconds until all must be settled.")
@click.pass_context
def demo(context: click.Context, keep: bool, events: int, seed: int, deadline: int) -> None:
    """Run everything in a folder of its own, send a shop's traffic with all that goes wrong in one, and check the sums.

    Among the events are repeats, some out of order, some that never come, some that come late, and some that are no
    events; the mail server refuses some emails at first and some for good. Exit code 1 if anything is lost, doubled or
    out of place.

    \b
    Example:  chopar demo
              chopar demo --keep --events 20000
    """
    from brokers.discovery import given_settings
    from chopar.demo.play import Options
    from chopar.demo.runner import run
    from chopar.supervision import Stopped, until_signal

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    options = Options(run=secrets.token_hex(2), events=events, seed=seed, deadline=deadline, keep=keep)
    wrong: list[str] = []
    try:
        asyncio.run(until_signal(run(given_settings(), options, wrong)))
    except Stopped as stopped:
        say("stopped")
        if stopped.number is signal.SIGINT and not wrong:
            raise KeyboardInterrupt from None
    if wrong:
        context.exit(1)

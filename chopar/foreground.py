"""`chopar worker`, `notifier`, `mailer`: one process of the application, here, in the foreground."""

import os
import sys
from typing import NoReturn

import click

from chopar.processes import MAILER, NOTIFIER, WORKER


@click.command(short_help="Order events and write the log.")
def worker() -> None:
    """Order events and write the log (the same as `faust -A streams.main worker -l info`).

    Needs Kafka and the store. Start as many as you like; they share the partitions.

    \b
    Example:  CHOPAR_KAFKA_URL=kafka://broker:9092 chopar worker
    """
    become(WORKER)


@click.command(short_help="Turn logged events into jobs.")
def notifier() -> None:
    """Turn logged events into jobs (the same as `faust -A streams.notify worker -l info`).

    Needs Kafka and RabbitMQ.

    \b
    Example:  CHOPAR_RULES=rules.toml chopar notifier
    """
    become(NOTIFIER)


@click.command(short_help="Send the emails.")
def mailer() -> None:
    """Send the emails (the same as `python -m rabbit`).

    Needs RabbitMQ, the store and a mail server.

    \b
    Example:  CHOPAR_SMTP_URL=smtp://mail.example:25 chopar mailer
    """
    become(MAILER)


def become(argv: tuple[str, ...]) -> NoReturn:
    """Goes on as another program under the same pid: whoever signals us signals it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *argv])  # noqa: S606 - our own modules, no shell wanted

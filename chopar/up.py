"""`chopar up`: all of Chopar on this machine, in the foreground."""

import asyncio
import logging
import signal
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import click

from activity.settings import Settings
from chopar.terminal import say

if TYPE_CHECKING:
    from brokers.local import LocalBrokers

READY: Final = "ready; stop it with Ctrl-C"


@click.command(short_help="Run everything on this machine.")
@click.option("--brokers-only", is_flag=True, help="Only Kafka and RabbitMQ, none of Chopar's own processes.")
def up(brokers_only: bool) -> None:
    """Run everything on this machine until Ctrl-C: brokers, worker, notifier, mailer.

    A broker or mail server that a setting names is used; else Docker's, or a private one, is started. A process that
    leaves to be safe is started again; any other end of one ends them all, and says which and why.

    \b
    Example:  chopar up
              CHOPAR_SMTP_URL=smtp://mail.example:25 chopar up
    """
    from brokers.discovery import given_settings
    from chopar.supervision import Stopped, until_signal

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        asyncio.run(until_signal(run(given_settings(), brokers_only)))
    except Stopped as stopped:
        if stopped.number is signal.SIGINT:
            raise KeyboardInterrupt from None


async def run(settings: Settings, brokers_only: bool) -> None:
    """Until it is cancelled, or a process crashes."""
    from brokers.local import LocalBrokers
    from chopar.machine import application, check_inputs, inbox_folder
    from chopar.supervision import keep_running

    if not brokers_only:
        check_inputs(settings)
    async with AsyncExitStack() as stack:
        local = await stack.enter_async_context(LocalBrokers(settings))
        if brokers_only:
            show_brokers(local)
            say(READY)
            await keep_running(local.supervisor, {})
        machine = await stack.enter_async_context(application(local, settings))
        show_brokers(local)
        show_application(machine.settings)
        if settings.smtp_url is None:
            say(f"inbox     {inbox_folder(settings) / 'new'} (no CHOPAR_SMTP_URL is set: emails stay here)")
        say(READY)
        await keep_running(local.supervisor, machine.children)


def show_brokers(local: "LocalBrokers") -> None:
    """What runs where, as variables for other shells."""
    from activity.settings import redact

    for name, url in local.urls.items():
        say(f"{name}={redact(url)}")


def show_application(settings: Settings) -> None:
    """Where to look."""
    from activity.settings import redact

    say(f"CHOPAR_SMTP_URL={redact(settings.smtp_url or '')}")
    say(f"web       http://{settings.web_host}:{settings.web_port}/")
    say(f"store     {redact(settings.store_url)}")
    say(f"logs      {settings.data_dir / 'logs'}")

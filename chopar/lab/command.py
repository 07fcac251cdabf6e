"""`chopar lab`: small experiments on the brokers."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from chopar.lab.teller import Teller

L = TypeVar("L")

yes = click.option("--yes", is_flag=True, help="Don't wait for Enter before each step.")


@click.group(short_help="Small experiments: see what the brokers do.")
def lab() -> None:
    """Small experiments that show what Kafka and RabbitMQ do, step by step. Each ends with what it showed.

    They use topics and queues of their own on the brokers that the settings name or `chopar up` has started, and take
    them away again; where there is none, a private broker is started for as long as the experiment lasts.

    \b
    Example:  chopar lab exchanges
              chopar lab crash --yes
    """


@lab.command(short_help="Which exchange gives what to which queue.")
@click.option("--key", "keys", multiple=True, metavar="KEY", help="Send with this routing key (may be repeated).")
@yes
def exchanges(keys: tuple[str, ...], yes: bool) -> None:
    """Send through a direct, a topic and a fanout exchange, and see which queue got what.

    \b
    Example:  chopar lab exchanges
              chopar lab exchanges --key email.bulk.news --key email.bulk
    """
    from chopar.lab.exchanges import KEYS, exchanges

    _on_rabbitmq(exchanges, yes, keys=keys or KEYS)


@lab.command(short_help="A message goes round and dies.")
@click.option("--fails", type=click.IntRange(0), metavar="N", help="It fails so often, then succeeds (default: always).")
@click.option("--attempts", type=click.IntRange(1, 10), default=4, show_default=True, help="After so many it is dead.")
@yes
def retry(fails: int | None, attempts: int, yes: bool) -> None:
    """Watch a message that fails wait in delay queues, come again, and die.

    \b
    Example:  chopar lab retry
              chopar lab retry --fails 2
    """
    from chopar.lab.retry import retry

    _on_rabbitmq(retry, yes, fails=attempts if fails is None else fails, attempts=attempts)


@lab.command(short_help="One key and many partitions.")
@click.option("--partitions", type=click.IntRange(1, 12), default=3, show_default=True, help="Of the topic.")
@yes
def ordering(partitions: int, yes: bool) -> None:
    """Send one user's events with a key and without, and see in which order they are read.

    \b
    Example:  chopar lab ordering
              chopar lab ordering --partitions 1
    """
    from chopar.lab.ordering import ordering

    _on_kafka(ordering, yes, partitions=partitions)


@lab.command(short_help="Consumers come and go: who owns what.")
@click.option("--members", type=click.IntRange(2, 6), default=3, show_default=True, help="So many join.")
@yes
def rebalance(members: int, yes: bool) -> None:
    """Start and stop consumers of one group, and see which of four partitions each of them owns.

    \b
    Example:  chopar lab rebalance
              chopar lab rebalance --members 5
    """
    from chopar.lab.rebalance import rebalance

    _on_kafka(rebalance, yes, members=members)


@lab.command(short_help="Kill a consumer before or after its commit.")
@yes
def crash(yes: bool) -> None:
    """Kill a consumer with SIGKILL before and after its commit, start it again, and see what is done twice, or never.

    \b
    Example:  chopar lab crash
    """
    from chopar.lab.crash import crash

    _on_kafka(crash, yes)


def _on_rabbitmq(experiment: Callable[..., Awaitable[None]], yes: bool, **options: Any) -> None:
    from chopar.lab.rabbit import corner

    _run("CHOPAR_RABBIT_URL", corner, partial(experiment, **options), yes)


def _on_kafka(experiment: Callable[..., Awaitable[None]], yes: bool, **options: Any) -> None:
    from chopar.lab.kafka import corner

    _run("CHOPAR_KAFKA_URL", corner, partial(experiment, **options), yes)


def _run(
    broker: str,
    corner: Callable[[str], AbstractAsyncContextManager[L]],
    experiment: Callable[[L, "Teller"], Awaitable[None]],
    yes: bool,
) -> None:
    """Runs it in a corner of a broker; on Ctrl-C and SIGTERM that is cleared as well. Raises ChoparError."""
    from brokers.discovery import read_settings
    from brokers.local import one_broker
    from chopar.lab.teller import Teller
    from chopar.supervision import Stopped, until_signal

    async def run() -> None:
        async with one_broker(broker, read_settings()) as url, corner(url) as lab:
            await experiment(lab, Teller(yes=yes))

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        asyncio.run(until_signal(run()))
    except Stopped:
        raise KeyboardInterrupt from None

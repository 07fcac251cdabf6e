"""Runs the demo: starts what it needs, plays, and stops it all."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from time import monotonic
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from activity.settings import Settings
from brokers import ports
from brokers.local import LocalBrokers
from chopar.demo.play import Options, play
from chopar.demo.strangers import none_reads
from chopar.machine import application
from chopar.processes import HOME
from chopar.supervision import keep_running
from chopar.terminal import say

T = TypeVar("T")

KAFKA: Final = "kafka"
"""The name of the private one."""
GAP_TIMEOUT: Final = 2.0


def demo_settings(given: Settings) -> Settings:
    """Settings that keep the demo apart from everything else: own folder, own store, own inbox, a free web port."""
    folder = given.data_dir / "demo"
    return msgspec.structs.replace(
        given,
        data_dir=folder,
        store_url=f"sqlite:///{folder / 'chopar.db'}",
        smtp_url=None,
        rules=HOME / "rules.toml",
        templates=HOME / "templates",
        mail_from="Shop <mail@shop.example>",
        web_host=ports.HOST,
        web_port=given.web_port if ports.is_free(given.web_port) else ports.choose(1)[0],
        gap_timeout=GAP_TIMEOUT,
        max_attempts=8,
        retry_base=1.0,
        retry_cap=4.0,
    )


async def run(given: Settings, options: Options, wrong: list[str]) -> None:
    """The whole demo; what differs is added to `wrong` as soon as it is known. Raises ChoparError if it can't run."""
    settings = demo_settings(given)
    began = monotonic()
    say(f"starting brokers, worker, notifier, mailer and inbox in {settings.data_dir}")
    async with AsyncExitStack() as stack:
        local = await stack.enter_async_context(LocalBrokers(settings))
        if KAFKA not in local.supervisor.pids():
            await none_reads(msgspec.structs.replace(settings, kafka_url=local.kafka_url))
        machine = await stack.enter_async_context(application(local, settings))
        say(f"ready after {monotonic() - began:.0f} s")
        wrong += await while_alive(keep_running(local.supervisor, machine.children), play(machine, options))
        if options.keep:
            say("it keeps running; stop it with Ctrl-C")
            await keep_running(local.supervisor, machine.children)


async def while_alive(watching: Coroutine[Any, Any, NoReturn], work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives. Raises what `watching` raises if that happens first."""
    working, watched = asyncio.create_task(work), asyncio.create_task(watching)
    try:
        await asyncio.wait((working, watched), return_when=asyncio.FIRST_COMPLETED)
        if watched.done():
            watched.result()
        return working.result()
    finally:
        for task in (working, watched):
            task.cancel()
        await asyncio.gather(working, watched, return_exceptions=True)

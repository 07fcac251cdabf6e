"""The application on one machine: what has to be there first, then its processes, in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from activity.settings import Settings
from brokers import discovery, ports
from brokers.child import Child
from brokers.failures import first_of
from brokers.local import MANAGEMENT, LocalBrokers
from brokers.lock import is_held
from chopar.processes import NAMES, inbox, process

SMTP: Final = "CHOPAR_SMTP_URL"


@dataclass(frozen=True)
class Machine:
    """What runs: the settings with every URL in them, and the children that may be started again."""

    settings: Settings
    children: dict[str, Child]


def check_inputs(settings: Settings) -> None:
    """Raises SettingError for what would keep a process from starting: rules, templates, a web port in use.

    If one runs here already, that is the better message, and whoever takes the lock gives it.
    """
    from streams.app import check_port
    from streams.parts import read_rules

    read_rules(settings)
    if not is_held(discovery.lock_path(settings)):
        check_port(settings)


@asynccontextmanager
async def application(local: LocalBrokers, settings: Settings) -> AsyncIterator[Machine]:
    """The application while the `async with` lasts. Its processes are stopped together: each has work to finish."""
    machine = await _start(local, settings)
    try:
        yield machine
    finally:
        await asyncio.gather(*(local.supervisor.end(name) for name in NAMES))


async def _start(local: LocalBrokers, settings: Settings) -> Machine:
    """Creates topics, queues and store, then starts the processes under the brokers' supervisor. All are ready when it returns.

    Raises ChoparError; what was started is stopped with the brokers.
    """
    from rabbit.topology import declare
    from streams.topics import ensure_topics

    found = msgspec.structs.replace(
        settings,
        kafka_url=local.kafka_url,
        rabbit_url=local.rabbit_url,
        rabbit_management_url=local.urls.get(MANAGEMENT, settings.rabbit_management_url),
    )
    await ensure_topics(found)
    await declare(local.rabbit_url)
    if found.smtp_url is None:
        found = await start_inbox(local, found)
    children = {name: process(name, found) for name in NAMES}
    try:
        async with asyncio.TaskGroup() as group:
            for child in children.values():
                group.create_task(local.supervisor.start(child))
    except BaseExceptionGroup as errors:
        raise first_of(errors) from None
    return Machine(found, children)


async def start_inbox(local: LocalBrokers, settings: Settings) -> Settings:
    """Starts a mail server that keeps what it gets; the settings with its URL."""
    folder = inbox_folder(settings)
    port = ports.keep(folder / "ports.json", ("smtp",))["smtp"]
    await local.supervisor.start(inbox(settings, port, folder))
    url = f"smtp://{ports.HOST}:{port}"
    discovery.announce(settings, {**local.urls, SMTP: url})
    return msgspec.structs.replace(settings, smtp_url=url)


def inbox_folder(settings: Settings) -> Path:
    """The Maildir of the local inbox."""
    return settings.data_dir / "inbox"

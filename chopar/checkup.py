"""What `chopar doctor` looks at. Each check changes nothing and says what to do where something is wrong."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec

from activity.errors import ChoparError
from activity.settings import Settings, redact

PATIENCE: Final = 20.0


class Check(msgspec.Struct, frozen=True):
    """What was found. `needed` is False for what this installation does without."""

    name: str
    ok: bool
    found: str
    needed: bool = True


class Finding(msgspec.Struct, frozen=True):
    """The answer of one check."""

    ok: bool
    text: str


Look = Callable[[], Awaitable[str]]
"""Looks, and says what it found. Raises ChoparError, whose text says what to do, if it is not right."""


async def examine(settings: Settings, given: Settings) -> list[Check]:
    """All checks. `given`: the settings without what a running `chopar up` adds to them."""
    docker = await _docker(settings)
    own_kafka = given.kafka_url is None and not docker
    own_rabbit = given.rabbit_url is None and not docker
    looks: list[tuple[str, bool, Look]] = [
        ("data folder", True, lambda: _data_folder(settings)),
        ("java", own_kafka, _java),
        ("kafka jars", own_kafka, lambda: _jars(settings)),
        ("rabbitmq-server", own_rabbit, _rabbitmq_server),
        ("kafka", True, lambda: _kafka(settings)),
        ("rabbitmq", True, lambda: _rabbitmq(settings)),
        ("store", True, lambda: _store(settings)),
        ("mail server", True, lambda: _smtp(settings)),
        ("rules and templates", True, lambda: _rules(settings)),
        ("web port", True, lambda: _web_port(settings)),
    ]
    told = "answers; `chopar up` uses it" if docker else "no engine answers; `chopar up` starts private brokers"
    checks = [Check("docker", docker, told, needed=False), Check("compiled core", *_core(settings), needed=False)]
    for name, needed, look in looks:
        finding = await _ask(look)
        checks.append(Check(name, finding.ok, finding.text, needed))
    return checks


def _core(settings: Settings) -> tuple[bool, str]:
    from activity.hand import COMPILED

    if settings.core == "python":
        return False, "not used: CHOPAR_CORE=python"
    if COMPILED is None:
        return (
            False,
            "not built: with a C compiler and Python's headers (gcc, python3-dev) `pip install` builds it; events cost more",
        )
    return True, "decides events"


async def _ask(look: Look) -> Finding:
    try:
        async with asyncio.timeout(PATIENCE):
            return Finding(True, await look())
    except ChoparError as error:
        return Finding(False, str(error))
    except TimeoutError:
        return Finding(False, f"no answer within {PATIENCE:g} s; look at its own log")


async def _docker(settings: Settings) -> bool:
    from brokers.compose import Compose

    with tempfile.TemporaryDirectory() as folder:
        return await Compose(Path(folder)).answers()


async def _data_folder(settings: Settings) -> str:
    folder = settings.data_dir
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise ChoparError(f"CHOPAR_DATA_DIR: can't write to {folder}; correct its rights, or set another folder")
    free = shutil.disk_usage(folder).free
    if free < 500 * 1024**2:
        raise ChoparError(f"CHOPAR_DATA_DIR: {folder} has {free / 1024**2:,.0f} MB left; brokers need 500 MB, free some space")
    return f"{settings.data_dir} can be written, {free / 1024**3:,.1f} GB free"


async def _java() -> str:
    from brokers.java import find_java

    return await asyncio.to_thread(find_java)


async def _jars(settings: Settings) -> str:
    from brokers.jars import VERSION, cache_folder

    folder = cache_folder() / f"kafka-{VERSION}"
    if folder.is_dir():
        return str(folder)
    if shutil.which("mvn") or settings.maven_url:
        return "not here yet; `chopar up` gets them (54 MB)"
    raise ChoparError("not here: apt-get install maven, or set CHOPAR_MAVEN_URL to a Maven repository")


async def _rabbitmq_server() -> str:
    from brokers.rabbitmq import SERVER

    if not SERVER.exists():
        raise ChoparError("not installed: apt-get install rabbitmq-server, or set CHOPAR_RABBIT_URL")
    return str(SERVER)


async def _kafka(settings: Settings) -> str:
    from streams.topics import check_topics, kafka_address

    states = await check_topics(settings)
    if problems := [
        state.problem if state.name in state.problem else f"{state.name} {state.problem}" for state in states if state.problem
    ]:
        raise ChoparError("; ".join(problems))
    return f"{kafka_address(settings)}, {len(states)} topics of {settings.partitions} partitions"


async def _rabbitmq(settings: Settings) -> str:
    from rabbit.topology import QUEUES, verify

    if settings.rabbit_url is None:
        raise ChoparError("CHOPAR_RABBIT_URL is not set and no `chopar up` runs here; start it, or set amqp://…")
    await verify(settings.rabbit_url)
    return f"{redact(settings.rabbit_url)}, {len(QUEUES)} queues"


async def _store(settings: Settings) -> str:
    from chopar.stored import reading_store

    async with reading_store(settings) as store:
        return f"{redact(settings.store_url)}, {await store.log.count():,} events"


async def _smtp(settings: Settings) -> str:
    from rabbit.smtp import Away, Mailer

    if settings.smtp_url is None:
        raise ChoparError("CHOPAR_SMTP_URL is not set; set smtp://host:port (`chopar up` starts a local inbox where it is not)")
    mailer = Mailer(settings.smtp_url, min(settings.smtp_timeout, PATIENCE))
    try:
        await mailer.check()
    except Away as error:
        remedy = "correct user and password" if error.credentials else "start it, or correct the URL"
        raise ChoparError(f"CHOPAR_SMTP_URL: {mailer.where} does not take mail ({error}); {remedy}") from None
    return mailer.where


async def _rules(settings: Settings) -> str:
    from streams.parts import read_rules

    read_rules(settings)
    return f"{settings.rules}, {settings.templates}"


async def _web_port(settings: Settings) -> str:
    from brokers.discovery import lock_path
    from brokers.lock import is_held
    from streams.app import check_port

    where = f"http://{settings.web_host}:{settings.web_port}/"
    if is_held(lock_path(settings)):
        return f"{where} (`chopar up` runs)"
    check_port(settings)
    return f"{where} is free"

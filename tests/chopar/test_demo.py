"""`chopar demo` from start to end, on brokers of its own."""

import asyncio
import re
import socket
from pathlib import Path
from typing import NoReturn

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer
from click.testing import CliRunner

from activity.errors import ChoparError
from activity.names import APP, DEAD, EVENTS, NOTIFY_APP
from activity.settings import Settings, parse_settings
from chopar.cli import cli
from chopar.demo.play import Options
from chopar.demo.runner import demo_settings, while_alive
from chopar.demo.strangers import none_reads
from streams.topics import ensure_topics
from tests.chopar.running import chopar
from tests.learn.pages import LEARN, examples, matches


@pytest.mark.kafka
@pytest.mark.rabbitmq
@pytest.mark.timeout(600)
def test_the_demo_adds_up_and_what_it_leaves_can_be_looked_into(tmp_path: Path) -> None:
    result = chopar("demo", "--events", "300", "--deadline", "240", timeout=500, data_dir=str(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    (on_page,) = examples(LEARN / "together.md")
    assert on_page.command == 'make demo ARGS="--events 300"'
    assert matches(on_page, result.stdout), result.stdout
    assert "Message-ID: <" in result.stdout
    found = re.search(r"chopar log (u-[0-9a-f]{4}-000) --json", result.stdout)
    assert found is not None
    shown = chopar("log", found[1], "--json", "--limit", "1000", data_dir=str(tmp_path / "demo"))
    positions = [entry["position"] for entry in msgspec.json.decode(shown.stdout)["events"]]
    assert positions == list(range(len(positions), 0, -1))
    assert positions
    assert not (tmp_path / "chopar.db").exists()


def test_what_differs_makes_the_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(given: Settings, options: Options, wrong: list[str]) -> None:
        wrong.append("an event is lost")

    monkeypatch.setattr("chopar.demo.runner.run", run)
    assert CliRunner().invoke(cli, ["demo"]).exit_code == 1


async def test_a_process_that_dies_ends_the_demo_at_once() -> None:
    async def dies() -> NoReturn:
        raise ChoparError("worker: ended by itself")

    with pytest.raises(ChoparError, match="worker: ended by itself"):
        await while_alive(dies(), asyncio.Event().wait())


async def test_the_demo_ends_with_what_it_found_while_all_live() -> None:
    async def lives() -> NoReturn:
        await asyncio.Event().wait()
        raise AssertionError

    async def find() -> list[str]:
        return ["an event is lost"]

    assert await while_alive(lives(), find()) == ["an event is lost"]


def test_the_demo_keeps_apart_from_everything_else(tmp_path: Path) -> None:
    given = parse_settings({"CHOPAR_DATA_DIR": str(tmp_path), "CHOPAR_SMTP_URL": "smtp://real.example:25"})
    found = demo_settings(given)
    assert found.smtp_url is None
    assert found.data_dir == tmp_path / "demo"
    assert found.store_url == f"sqlite:///{tmp_path / 'demo' / 'chopar.db'}"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert demo_settings(msgspec.structs.replace(given, web_port=port)).web_port != port


async def test_a_kafka_that_somebody_reads_from_is_not_used(kafka_url: str) -> None:
    settings = parse_settings({"CHOPAR_KAFKA_URL": kafka_url})
    await ensure_topics(settings)
    await none_reads(settings, patience=30)
    async with AIOKafkaConsumer(EVENTS, bootstrap_servers=kafka_url.removeprefix("kafka://"), group_id=APP) as before:
        while not before.assignment():
            await before.getmany(timeout_ms=100)
    await none_reads(settings, patience=30)  # a group that was there, and is empty, is answered otherwise than one that never was
    reader = AIOKafkaConsumer(DEAD, bootstrap_servers=kafka_url.removeprefix("kafka://"), group_id=NOTIFY_APP)
    async with reader:
        while not reader.assignment():
            await reader.getmany(timeout_ms=100)
        with pytest.raises(ChoparError, match=f"CHOPAR_KAFKA_URL: {NOTIFY_APP} read from"):
            await none_reads(settings, patience=1)

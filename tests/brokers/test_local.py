"""`LocalBrokers`: what is started and what is not."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activity.errors import ChoparError
from activity.settings import Settings, parse_settings
from brokers import probe
from brokers.discovery import read_settings
from brokers.local import KAFKA, RABBIT, LocalBrokers, one_broker
from brokers.lock import AlreadyRunning

DOCKER = """#!/bin/sh
echo "$@" >> {calls}
case "$*" in
    *" ps "*) echo {running};;
    *" up "*) {up};;
    *) ;;
esac
"""


def with_docker(folder: Path, monkeypatch: pytest.MonkeyPatch, *, running: str = "", up: str = "true") -> Path:
    """A Docker client whose engine answers. It starts nothing: this is about what we ask of it."""
    program, calls = folder / "bin" / "docker", folder / "calls"
    program.parent.mkdir()
    program.write_text(DOCKER.format(calls=calls, running=running, up=up))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return calls


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def settings(data: Path, **urls: str) -> Settings:
    return parse_settings({"CHOPAR_DATA_DIR": str(data), **{f"CHOPAR_{name.upper()}": url for name, url in urls.items()}})


async def test_urls_in_the_settings_win(data: Path) -> None:
    async with LocalBrokers(settings(data, kafka_url="kafka://there:1", rabbit_url="amqp://there:2/")) as local:
        assert (local.kafka_url, local.rabbit_url) == ("kafka://there:1", "amqp://there:2/")
        assert local.supervisor.pids() == {}
        assert read_settings({"CHOPAR_DATA_DIR": str(data)}).kafka_url == "kafka://there:1"
    assert not (data / "up.env").exists()


async def test_docker_starts_what_is_missing_and_stops_what_it_started(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = with_docker(tmp_path, monkeypatch, running="kafka")
    async with LocalBrokers(settings(data)) as local:
        assert local.kafka_url == "kafka://127.0.0.1:9092"
        assert local.rabbit_url == "amqp://guest:guest@127.0.0.1:5672/"
        assert local.supervisor.pids() == {}
    asked = [line.partition("docker-compose.yml ")[2] or line for line in calls.read_text().splitlines()]
    assert asked == ["info", "compose version", "ps --services --status running", "up -d --wait kafka rabbitmq", "stop rabbitmq"]


async def test_docker_is_asked_for_one_broker_if_the_other_is_given(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = with_docker(tmp_path, monkeypatch)
    async with LocalBrokers(settings(data, kafka_url="kafka://there:1")) as local:
        assert local.kafka_url == "kafka://there:1"
    assert "up -d --wait rabbitmq\n" in calls.read_text()


async def test_one_broker_is_the_one_that_is_given_or_the_only_one_that_is_started(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = with_docker(tmp_path, monkeypatch)
    given = settings(data, kafka_url="kafka://there:1")
    async with one_broker(KAFKA, given) as url:
        assert url == "kafka://there:1"
        assert not calls.exists()
    async with one_broker(RABBIT, given) as url:
        assert url == "amqp://guest:guest@127.0.0.1:5672/"
        assert not (data / "up.env").exists(), "other commands are not told of it"
    assert "up -d --wait rabbitmq\n" in calls.read_text()


async def test_what_docker_says_when_it_fails(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = with_docker(tmp_path, monkeypatch, up="echo port is already allocated; exit 1")
    with pytest.raises(ChoparError, match=r"(?s)docker: exit code 1.*port is already allocated"):
        await LocalBrokers(settings(data)).start()
    assert calls.read_text().splitlines()[-1].endswith("stop kafka rabbitmq")


async def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ChoparError, match=r"^CHOPAR_DATA_DIR: "):
        await LocalBrokers(settings(tmp_path / "file" / "data")).start()


async def test_a_second_start_is_refused_and_changes_nothing(data: Path) -> None:
    given = settings(data, kafka_url="kafka://there:1", rabbit_url="amqp://there:2/")
    async with LocalBrokers(given):
        with pytest.raises(AlreadyRunning, match=rf"pid {os.getpid()}"):
            await LocalBrokers(given).start()
        assert read_settings({"CHOPAR_DATA_DIR": str(data)}).kafka_url == "kafka://there:1"
    async with LocalBrokers(given) as local:
        assert local.kafka_url == "kafka://there:1"


# -- the command, on real brokers --------------------------------------------------------------------------------------


class Up:
    """`python -m brokers` in a folder, without Docker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.urls = dict[str, str]()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "brokers", "--folder", str(self.folder), "--heap", "96"),
            env={**os.environ, "DOCKER_HOST": "unix:///nowhere"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        for _ in range(2):
            name, _, url = (await self._process.stdout.readline()).decode().strip().partition("=")
            self.urls[name] = url

    async def end(self) -> tuple[int | None, str]:
        _, errors = await self.process.communicate()
        return self.process.returncode, errors.decode()

    def pids(self) -> dict[str, int]:
        return {child["name"]: child["pid"] for child in json.loads((self.folder / "up.json").read_text())["children"]}


@pytest.fixture
async def up(data: Path) -> AsyncIterator[Up]:
    started = Up(data)
    await started.start()
    yield started
    if started.process.returncode is None:
        started.process.terminate()
        await started.end()


@pytest.mark.kafka
@pytest.mark.rabbitmq
async def test_sigterm_stops_all_and_the_next_start_has_the_same_urls(up: Up) -> None:
    urls, pids = up.urls, up.pids()
    assert set(pids) == {"kafka", "epmd", "rabbitmq"}
    assert read_settings({"CHOPAR_DATA_DIR": str(up.folder)}).rabbit_url == urls["CHOPAR_RABBIT_URL"]
    second = Up(up.folder)
    await second.start()
    status, errors = await second.end()
    assert status == 1
    assert errors == f"{up.folder}: one runs here already (pid {up.process.pid}); stop it first\n"
    up.process.send_signal(signal.SIGTERM)
    status, errors = await up.end()
    assert status == 0
    assert "stopped by SIGTERM" in errors
    assert not set(os.listdir("/proc")) & {str(pid) for pid in pids.values()}
    await up.start()
    assert up.urls == urls


@pytest.mark.kafka
@pytest.mark.rabbitmq
async def test_after_a_kill_of_everything_the_next_start_works(up: Up) -> None:
    urls, pids = up.urls, up.pids()
    for pid in [*pids.values(), up.process.pid]:
        os.kill(pid, signal.SIGKILL)
    await up.end()
    await up.start()
    assert up.urls.keys() == urls.keys()
    kafka, rabbit = (int(up.urls[name].rpartition(":")[2].strip("/")) for name in ("CHOPAR_KAFKA_URL", "CHOPAR_RABBIT_URL"))
    assert await probe.kafka(kafka)
    assert await probe.amqp(rabbit)


@pytest.mark.kafka
@pytest.mark.rabbitmq
async def test_a_broker_that_dies_ends_the_command_by_its_name(up: Up) -> None:
    os.kill(up.pids()["rabbitmq"], signal.SIGKILL)
    status, errors = await up.end()
    assert status == 1
    assert "rabbitmq: ended by itself (SIGKILL)" in errors
    assert "started TCP listener on 127.0.0.1" in errors  # the end of its log
    assert not (up.folder / "up.json").exists()

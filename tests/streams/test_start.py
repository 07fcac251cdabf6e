"""Starting with something wrong: one clear line that names the setting, exit code not 0, no traceback."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from brokers import ports
from tests.processes import FAUST, NOTIFIER, ROOT, WORKER, Process

NOBODY = f"127.0.0.1:{ports.choose(1)[0]}"


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Right ones, but that nobody answers."""
    return {
        "CHOPAR_KAFKA_URL": f"kafka://{NOBODY}",
        "CHOPAR_RABBIT_URL": f"amqp://guest:guest@{NOBODY}/",
        "CHOPAR_DATA_DIR": str(tmp_path / "data"),
        "CHOPAR_WEB_PORT": str(ports.choose(1)[0]),
        "CHOPAR_RULES": str(ROOT / "rules.toml"),
        "CHOPAR_TEMPLATES": str(ROOT / "templates"),
    }


def refused(command: tuple[str, ...], settings: dict[str, str], tmp_path: Path) -> str:
    """The line with which it ends."""
    process = Process(command, settings, tmp_path / "log").start()
    assert process.wait(90) == 1
    log = process.log.read_text()
    assert "Traceback" not in log, log
    lines = [line for line in log.splitlines() if "CHOPAR_" in line or "rules.toml" in line]
    assert len(lines) == 1, log
    return lines[0]


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_kafka_is_not_there(settings: dict[str, str], tmp_path: Path) -> None:
    assert f"CHOPAR_KAFKA_URL: no answer from {NOBODY}" in refused(WORKER, settings, tmp_path)


def test_a_url_is_none(settings: dict[str, str], tmp_path: Path) -> None:
    settings["CHOPAR_KAFKA_URL"] = "127.0.0.1:9092"
    assert "CHOPAR_KAFKA_URL: expected a URL like kafka://host:port" in refused(WORKER, settings, tmp_path)


def test_a_setting_is_unknown(settings: dict[str, str], tmp_path: Path) -> None:
    settings["CHOPAR_KAFKA"] = "kafka://127.0.0.1:9092"
    assert "CHOPAR_KAFKA: there is no such setting" in refused(WORKER, settings, tmp_path)


def test_the_port_is_taken(settings: dict[str, str], tmp_path: Path, taken_port: int) -> None:
    settings["CHOPAR_WEB_PORT"] = str(taken_port)
    assert f"CHOPAR_WEB_PORT: can't listen on 127.0.0.1:{taken_port}" in refused(WORKER, settings, tmp_path)


def test_the_data_folder_can_not_be_made(settings: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings["CHOPAR_DATA_DIR"] = str(tmp_path / "file" / "data")
    assert "CHOPAR_DATA_DIR: can't make the folder" in refused(WORKER, settings, tmp_path)


def test_the_rules_are_not_there(settings: dict[str, str], tmp_path: Path) -> None:
    settings["CHOPAR_RULES"] = str(tmp_path / "nothing.toml")
    assert "CHOPAR_RULES: can't read" in refused(NOTIFIER, settings, tmp_path)


def test_a_rule_is_wrong(settings: dict[str, str], tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nname = "a"\non = "*"\nto = "{{ data.email }}"\nclass = "urgent"\ntemplate = "welcome"\n')
    settings["CHOPAR_RULES"] = str(rules)
    assert f"{rules}, line 1: class: one of transactional, bulk was expected" in refused(NOTIFIER, settings, tmp_path)


@pytest.mark.parametrize("away", ["RABBIT", "STORE"])
def test_a_far_end_is_not_there(settings: dict[str, str], tmp_path: Path, kafka_url: str, away: str) -> None:
    settings["CHOPAR_KAFKA_URL"] = kafka_url
    settings["CHOPAR_STORE_URL"] = f"postgresql://user:secret@{NOBODY}/chopar"
    line = refused(WORKER if away == "STORE" else NOTIFIER, settings, tmp_path)
    assert f"CHOPAR_{away}_URL" in line
    assert NOBODY in line
    assert "secret" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("app", "agents"), [("streams.main", ["sequencer", "archiver", "desk"]), ("streams.notify", ["notifier"])]
)
def test_fausts_own_commands_need_no_broker(app: str, agents: list[str], tmp_path: Path) -> None:
    process = Process((*FAUST, "-A", app, "agents"), {"CHOPAR_DATA_DIR": str(tmp_path)}, tmp_path / "log").start()
    assert process.wait() == 0
    log = process.log.read_text()
    for agent in agents:
        assert f"@{agent}" in log, log


def test_a_worker_without_a_url_says_so(tmp_path: Path) -> None:
    settings = {"CHOPAR_DATA_DIR": str(tmp_path / "data"), "CHOPAR_WEB_PORT": str(ports.choose(1)[0])}
    assert "CHOPAR_KAFKA_URL: is not set and no `chopar up` runs here" in refused(WORKER, settings, tmp_path)

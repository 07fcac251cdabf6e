"""How the commands are called, and how each ends when something is wrong."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from chopar.cli import cli
from tests.chopar.running import ROOT, chopar, environment

COMMANDS = sorted(cli.commands)
HEAVY = ("faust", "sqlalchemy", "aio_pika", "aiokafka", "rich", "jinja2")


def test_there_are_the_commands_of_the_contract() -> None:
    assert set(COMMANDS) == {
        "up",
        "demo",
        "worker",
        "notifier",
        "mailer",
        "send",
        "log",
        "timeline",
        "jobs",
        "dead",
        "audit",
        "lag",
        "replay",
        "topics",
        "doctor",
        "lab",
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_each_help_has_an_example(command: str) -> None:
    result = CliRunner().invoke(cli, [command, "--help"])
    assert result.exit_code == 0
    assert "Example:" in result.stdout
    assert f"chopar {command}" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["send"],
        ["send", "no-such-file"],
        ["send", "--key", "k", "rules.toml"],
        ["send", "--raw", "--strict", "rules.toml"],
        ["log"],
        ["log", "u", "--limit", "0"],
        ["timeline"],
        ["timeline", "u", "--limit", "501"],
        ["jobs", "--state", "nonsense"],
        ["jobs", "some-id", "--user", "u"],
        ["dead", "list", "--state", "nonsense"],
        ["dead", "list", "--since", "12"],
        ["dead", "list", "--since", "soon"],
        ["dead", "show"],
        ["dead", "replay"],
        ["dead", "replay", "some-id", "--reason", "conflict"],
        ["dead", "replay", "--all", "--per-second", "0"],
        ["dead", "edit", "some-id", "--original", "--payload", "rules.toml"],
        ["lag", "--interval", "0"],
        ["replay"],
        ["replay", "--from", "yesterday"],
        ["replay", "--from", "2h", "--to", "2026-01-31T09:30:00"],
        ["replay", "--from", "2h", "--only", "nonsense"],
        ["replay", "--from", "2h", "--skip-unread"],
        ["replay", "--from", "2h", "--only", "store", "--send-unknown"],
        ["replay", "--from", "2h", "--reset-group", "nonsense"],
        ["replay", "--from", "2h", "--reset-group", "chopar", "--user", "u"],
        ["demo", "--events", "3"],
        ["doctor", "--nonsense"],
    ],
)
def test_wrong_usage_is_exit_code_2_with_the_reason_on_stderr(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error:" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["log", "u"],
        ["jobs"],
        ["dead", "list"],
        ["audit"],
        ["lag"],
        ["replay", "--from", "0"],
        ["topics"],
        ["send", "-"],
        ["up"],
        ["demo"],
        ["worker"],
    ],
)
def test_an_unknown_setting_is_one_line(arguments: list[str], tmp_path: Path) -> None:
    result = chopar(*arguments, data_dir=str(tmp_path), nonsense="1")
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("chopar: CHOPAR_NONSENSE: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("option", ["--from", "--to"])
def test_a_point_that_is_none_is_told_by_its_option(option: str) -> None:
    result = CliRunner().invoke(cli, ["replay", "--from", "0", option, "soon"])
    assert result.exit_code == 2
    assert f"Invalid value for '{option}': expected a time like 2026-01-31T09:30:00Z, how long ago like 2h" in result.stderr


@pytest.mark.parametrize("arguments", [["topics"], ["audit"], ["send", "-"], ["lag"], ["replay", "--from", "0"]])
def test_a_kafka_that_does_not_answer_is_one_line(arguments: list[str], tmp_path: Path) -> None:
    result = chopar(*arguments, data_dir=str(tmp_path), kafka_url="kafka://127.0.0.1:1")
    assert result.returncode == 1
    assert result.stdout == ""
    assert re.fullmatch(r"chopar: CHOPAR_KAFKA_URL: no answer from 127\.0\.0\.1:1 \(.*\n", result.stderr)


def test_looking_does_not_create_a_store(tmp_path: Path) -> None:
    result = chopar("log", "u-1", data_dir=str(tmp_path / "none"))
    assert result.returncode == 1
    assert result.stderr.startswith("chopar: CHOPAR_STORE_URL: there is no store")
    assert not (tmp_path / "none").exists()


def test_starting_is_quick_because_nothing_heavy_is_imported() -> None:
    code = "import sys, chopar.cli; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "chopar.cli" in result.stdout.split()
    assert not set(HEAVY) & set(result.stdout.split())


def _on_a_terminal(*arguments: str, **variables: str) -> str:
    """What it writes to a terminal."""
    main, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "chopar", *arguments],
        cwd=ROOT,
        env={**environment(data_dir="/nonexistent/folder"), "TERM": "xterm-256color", **variables},
        stdout=side,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    os.close(side)
    written = b""
    try:
        while piece := os.read(main, 4096):
            written += piece
    except OSError:  # the other side is closed: Linux tells it so
        pass
    finally:
        os.close(main)
        process.wait()
    return written.decode()


def test_colours_are_for_terminals_only() -> None:
    kept = {"NO_COLOR": ""}
    assert "\x1b[" in _on_a_terminal("doctor", **kept)
    assert "\x1b" not in _on_a_terminal("doctor", NO_COLOR="1")
    assert "\x1b" not in chopar("doctor", data_dir="/nonexistent/folder").stdout


def test_a_closed_pipe_is_quiet() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "chopar", "doctor", "--json"],
        cwd=ROOT,
        env=environment(data_dir="/nonexistent/folder"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=120)
    assert errors == b""
    assert process.returncode != 0

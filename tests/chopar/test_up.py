"""`chopar up`: everything on one machine, once, until a signal."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from brokers import ports
from tests.chopar.running import ROOT, chopar, environment, event

pytestmark = [pytest.mark.kafka, pytest.mark.rabbitmq, pytest.mark.timeout(600)]


@contextmanager
def running(*arguments: str, **settings: str) -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    """`chopar up` and the lines it wrote until it was ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "chopar", "up", *arguments],
        cwd=ROOT,
        env=environment(**settings),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines: list[str] = []
        assert process.stderr is not None
        while not (lines and "stop it with Ctrl-C" in lines[-1]):
            line = process.stderr.readline()
            assert line, "".join(lines)
            lines.append(line)
        yield process, lines
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=120)


def pid_of(name: str, folder: Path) -> int:
    children = msgspec.json.decode((folder / "up.json").read_bytes())["children"]
    return next(int(child["pid"]) for child in children if child["name"] == name)


def test_it_runs_all_that_other_commands_need_and_stops_on_sigterm(tmp_path: Path) -> None:
    settings = {"data_dir": str(tmp_path), "web_port": str(ports.choose(1)[0])}
    with running(**settings) as (process, lines):
        assert any("inbox" in line and "CHOPAR_SMTP_URL" in line for line in lines)
        assert not any("guest:guest" in line for line in lines)
        second = chopar("up", settings=settings)
        assert (second.returncode, second.stdout) == (1, "")
        assert f"one runs here already (pid {process.pid})" in second.stderr
        assert chopar("send", "-", stdin=event("u-1", 1), settings=settings).returncode == 0
        examined = chopar("doctor", "--json", settings=settings)
        assert examined.returncode == 0, examined.stdout
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
        assert process.returncode == 0
    assert not (tmp_path / "up.env").exists()


def test_a_process_that_is_killed_ends_it_with_its_name_and_ctrl_c_is_130(tmp_path: Path) -> None:
    settings = {"data_dir": str(tmp_path), "web_port": str(ports.choose(1)[0])}
    with running(**settings) as (process, _):
        os.kill(pid_of("mailer", tmp_path), signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 1
        assert "chopar: mailer: ended by itself (SIGKILL); the end of" in errors
        assert "Traceback" not in errors
    with running("--brokers-only", **settings) as (process, _):
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 130
        assert "Traceback" not in errors


def test_a_web_port_in_use_and_a_wrong_rule_are_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = chopar("up", data_dir=str(tmp_path), web_port=str(taken.getsockname()[1]))
    assert result.returncode == 1
    assert result.stderr.startswith("chopar: CHOPAR_WEB_PORT: can't listen on 127.0.0.1:")
    (tmp_path / "rules.toml").write_text("[[rule]]\nname = 'x'\n")
    result = chopar("up", data_dir=str(tmp_path), rules=str(tmp_path / "rules.toml"), web_port=str(ports.choose(1)[0]))
    assert result.returncode == 1
    assert "rules.toml, line 1: on: a text was expected" in result.stderr
    assert result.stderr.count("\n") == 1

"""`chopar jobs pause|resume|workers|status`: what is said when nobody is there to hear it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from chopar.cli import cli
from chopar.pool import COMMANDS, show
from rabbit import topology
from rabbit.status import Status
from store.opening import open_store
from tests.chopar.running import chopar


@pytest.mark.parametrize("name", [str(command.name) for command in COMMANDS])
def test_each_help_has_an_example(name: str) -> None:
    result = CliRunner().invoke(cli, ["jobs", name, "--help"])
    assert result.exit_code == 0
    assert "Example:" in result.stdout
    assert f"chopar jobs {name}" in result.stdout
    assert name in CliRunner().invoke(cli, ["jobs", "--help"]).stdout


@pytest.mark.parametrize(
    "arguments", [["workers"], ["workers", "0"], ["workers", "65"], ["pause", "now"], ["status", "--user", "u"]]
)
def test_wrong_usage(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, ["jobs", *arguments])
    assert result.exit_code == 2
    assert "Error:" in result.stderr


async def test_without_a_mailer(rabbit_url: str, tmp_path: Path) -> None:
    """A pause stands all the same; the number of workers of nobody does not."""
    await topology.declare(rabbit_url)
    where = {"data_dir": str(tmp_path), "rabbit_url": rabbit_url}
    assert "there is no store" in chopar("jobs", "pause", settings=where).stderr
    async with open_store(f"sqlite:///{tmp_path}/chopar.db") as store:
        paused = chopar("jobs", "pause", settings=where)
        assert (paused.returncode, paused.stdout[:20]) == (0, "no mailer answered: ")
        assert await store.switches.read("pause") is not None
        assert chopar("jobs", "resume", settings=where).returncode == 0
        assert await store.switches.read("pause") is None
    workers = chopar("jobs", "workers", "5", settings=where)
    assert workers.returncode == 1
    assert workers.stderr == "chopar: no mailer answered; is one running? `chopar mailer` starts one\n"


async def test_a_pause_stands_though_rabbitmq_does_not_answer(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/chopar.db") as store:
        result = chopar("jobs", "pause", data_dir=str(tmp_path), rabbit_url="amqp://guest:guest@127.0.0.1:1/")
        assert result.returncode == 1
        assert "it stands in the store" in result.stderr
        assert await store.switches.read("pause") is not None


def test_the_table_says_how_each_mailer_is(capsys: pytest.CaptureFixture[str]) -> None:
    running = Status("a:1", paused=False, away_since=None, workers=4, at_most=2, busy=1, held=0, put_off=0, ended=7)
    away = Status("b:2", paused=False, away_since=1700000000.0, workers=4, at_most=4, busy=0, held=0, put_off=0, ended=0)
    show([running, away], False, "run")
    said = capsys.readouterr().out
    assert "slowed down" in said
    assert "waits for the mail server" in said
    assert "2023-11-14 22:13:20" in said
    assert said.endswith("2 mailers: run\n")

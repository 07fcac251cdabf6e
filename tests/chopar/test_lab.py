"""`chopar lab` as a person uses it. What each experiment prints with `--yes` is in docs/learn, and compared in tests/learn."""

import pytest
from click.testing import CliRunner

from chopar.cli import cli
from chopar.lab.command import lab
from tests.chopar.running import chopar


def test_it_waits_for_enter_before_each_step_and_goes_on_at_the_end_of_input(rabbit_url: str) -> None:
    result = chopar("lab", "exchanges", stdin=b"\n", rabbit_url=rabbit_url)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("[Enter]") == 3
    assert "A fanout exchange ignores it." in result.stdout
    assert "\nIt showed: " in result.stdout


def test_a_broker_that_does_not_answer_is_one_line() -> None:
    for experiment, variable in (("retry", "rabbit_url"), ("ordering", "kafka_url")):
        url = {"rabbit_url": "amqp://guest:guest@127.0.0.1:1/", "kafka_url": "kafka://127.0.0.1:1"}[variable]
        result = chopar("lab", experiment, "--yes", settings={variable: url})
        assert result.returncode == 1
        assert result.stderr.startswith(f"chopar: CHOPAR_{variable.upper()}: no answer from 127.0.0.1:1"), result.stderr
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("experiment", sorted(lab.commands))
def test_each_has_help_with_an_example(experiment: str) -> None:
    result = CliRunner().invoke(cli, ["lab", experiment, "--help"])
    assert result.exit_code == 0
    assert f"chopar lab {experiment}" in result.stdout.partition("Example:")[2]

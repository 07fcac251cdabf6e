"""The sample files are what their names say."""

import subprocess
import sys
from pathlib import Path

import pytest

from activity.events import Refused, decode
from chopar.records import Splitter
from tests.chopar.running import ROOT

EXAMPLES = ROOT / "examples"


def refused(path: Path) -> list[tuple[int, str]]:
    splitter = Splitter()
    found = [(record.number, decode(None, record.value)) for record in splitter.feed(path.read_bytes()) + splitter.end()]
    assert found
    return [(number, event.reason) for number, event in found if isinstance(event, Refused)]


@pytest.mark.parametrize("name", ["events.jsonl", "events.json"])
def test_events_can_be_sent(name: str) -> None:
    assert refused(EXAMPLES / name) == []


def test_the_mistakes_are_refused() -> None:
    expected = [(2, "bad-sequence"), (3, "bad-specversion"), (4, "missing-attribute"), (5, "not-json")]
    assert refused(EXAMPLES / "with-mistakes.jsonl") == expected


def test_keyed_lines_have_their_subject_as_key() -> None:
    lines = (EXAMPLES / "keyed.txt").read_bytes().splitlines()
    assert lines
    for line in lines:
        key, _, value = line.partition(b"|")
        assert not isinstance(decode(key, value), Refused)


def test_a_pool_for_a_task_of_ones_own() -> None:
    command = [sys.executable, "examples/thumbnails.py", "setup.cfg", "no-such-file", "LICENSE"]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == ["1 of 3", "2 of 3", "3 of 3"], done.stderr
    assert lines[-1] == "3 of 3: no-such-file dead"
    assert done.returncode == 1

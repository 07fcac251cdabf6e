"""What the lessons say that a command prints is what it prints."""

from pathlib import Path

import pytest

from tests.learn.conftest import Runner
from tests.learn.pages import LEARN, Example, blocks, examples, matches, run

PAGES = sorted(LEARN.glob("*.md"))
ALL = [example for page in PAGES for example in examples(page)]


@pytest.mark.parametrize("example", [example for example in ALL if not example.note.startswith("run by")], ids=lambda it: it.name)
def test_a_command_prints_what_its_page_says(example: Example, runner: Runner) -> None:
    result = runner(example.command)
    assert result.returncode == 0, result.stderr
    assert matches(example, result.stdout), f"{example.name} prints\n{result.stdout}"


def test_a_failpoint_kills_and_what_was_left_is_done(kafka_url: str, rabbit_url: str, learn_folder: Path) -> None:
    (block,) = [block for block in blocks(LEARN / "failing.md") if block.startswith("FAILPOINT=")]
    killed, again = (run.__wrapped__(line, kafka_url, rabbit_url, learn_folder) for line in block.splitlines())
    assert "Killed" in killed.stderr
    assert killed.returncode != 0
    assert "the log of" not in killed.stdout
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("the log of") == 2


def test_every_lesson_and_project_has_one() -> None:
    assert {example.page for example in ALL} == {page.name for page in PAGES} - {"index.md"}


@pytest.mark.parametrize(
    ("shown", "note", "fits"),
    [
        ("a\nb\n", "", True),
        ("b\na\n", "", False),
        ("b\na\n", "in any order", True),
        ("a\n", "", False),
        ("a\n", "in any order", False),
        ("a\n…\n", "", True),
        ("…\na\n", "", False),
        ("b\n…\n", "in any order", True),
        ("a\nb\nc\n", "in any order", False),
    ],
)
def test_how_they_are_compared(shown: str, note: str, fits: bool) -> None:
    assert matches(Example("page.md", "make it", shown, note), "-- starting a private kafka in x\na  \n\nb\n") is fits

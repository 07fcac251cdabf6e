"""What the lessons say that a command prints is what it prints."""

import pytest

from tests.learn.conftest import Runner
from tests.learn.pages import LEARN, Example, examples, matches

PAGES = sorted(LEARN.glob("*.md"))
ALL = [example for page in PAGES for example in examples(page)]


@pytest.mark.parametrize("example", [example for example in ALL if not example.note.startswith("run by")], ids=lambda it: it.name)
def test_a_command_prints_what_its_page_says(example: Example, runner: Runner) -> None:
    result = runner(example.command)
    assert result.returncode == 0, result.stderr
    assert matches(example, result.stdout), f"{example.name} prints\n{result.stdout}"


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

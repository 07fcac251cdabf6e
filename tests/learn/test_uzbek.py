"""The Uzbek pages have the commands and outputs of the English ones, letter by letter."""

import re
from pathlib import Path

import pytest

from tests.learn.pages import LEARN, blocks, examples
from tests.processes import ROOT

UZBEK = ROOT / "docs" / "uz"
PAGES = sorted(page.name for page in LEARN.glob("*.md"))
SETTING = re.compile(r"^\| (`CHOPAR_[^|]*) \| ([^|]*) \|", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_a_lesson_has_the_same_commands_and_outputs(page: str) -> None:
    assert blocks(UZBEK / "learn" / page) == blocks(LEARN / page)
    assert examples(UZBEK / "learn" / page) == examples(LEARN / page)


@pytest.mark.parametrize("page", PAGES)
def test_a_lesson_names_the_same_files(page: str) -> None:
    assert named(UZBEK / "learn" / page) == named(LEARN / page)


def named(page: Path) -> list[str]:
    """The files of a page, in any order: the grammar differs."""
    return sorted(re.findall(r"`([\w/]+\.py)`", page.read_text()))


def test_the_readme_shows_the_same_in_the_same_order() -> None:
    assert blocks(UZBEK / "index.md") == blocks(ROOT / "README.md")


def test_the_readme_has_as_many_sections_and_pictures() -> None:
    assert shape(UZBEK / "index.md") == shape(ROOT / "README.md")


def shape(page: Path) -> list[str]:
    """The depth of each heading, and each picture."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+(?= )|(?<=/)[\w-]+\.png", text, re.MULTILINE)


def test_the_readme_has_the_same_settings_and_defaults() -> None:
    english = dict(SETTING.findall((ROOT / "README.md").read_text()))
    uzbek = dict(SETTING.findall((UZBEK / "index.md").read_text()))
    assert len(uzbek) > 20
    words = {
        "none": "yoʻq",  # noqa: RUF001 - how it is written
        "what `chopar up` started": "`chopar up` ishga tushirgani",
        "the inbox of `chopar up`": "`chopar up` ning pochta qutisi",
    }
    assert uzbek == {name: words.get(default, default) for name, default in english.items()}

"""The documents say what is so."""

import re
from pathlib import Path

import pytest

from activity.events import MAX_DEPTH, MAX_EVENT, MAX_TEXT, Event, decode
from activity.settings import Settings, duration, variables
from tests.processes import ROOT

DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def named(document: Path) -> list[Path]:
    return sorted({ROOT / name for name in re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|md))`", document.read_text())})


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_files_it_names_are_there(document: Path) -> None:
    assert [path for path in named(document) if not path.is_file()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_its_links_lead_somewhere(document: Path) -> None:
    targets = [link for link in re.findall(r"\]\(([^)#]+)\)", document.read_text()) if "://" not in link]
    assert [link for link in targets if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_tests_it_names_are_there(document: Path) -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    names = re.findall(r"`(test_[a-z0-9_]+)`", document.read_text())
    assert [name for name in names if f"def {name}(" not in tests] == []


def rows() -> dict[str, str]:
    """The settings table of the README: variable -> default, as written."""
    found: dict[str, str] = {}
    for line in (ROOT / "README.md").read_text().splitlines():
        if line.startswith("| `CHOPAR_"):
            _, names, defaults, _, _ = (cell.strip() for cell in line.split("|"))
            listed = names.replace("`", "").split(", ")
            values = defaults.replace("`", "").split(", ") if len(listed) > 1 else [defaults.replace("`", "")]
            found |= dict(zip(listed, values, strict=True))
    return found


def test_the_readme_has_every_setting_and_no_other() -> None:
    assert sorted(rows()) == sorted(variables())


def test_the_readme_has_the_defaults() -> None:
    defaults = Settings()
    for name, written in rows().items():
        value = getattr(defaults, name.removeprefix("CHOPAR_").lower())
        if value is None or str(value) == "":
            continue
        if isinstance(value, float):
            assert duration(written) == value, name
        else:
            assert written == str(value), name


def test_every_reason_of_a_dead_letter_is_explained() -> None:
    written = set(
        re.findall(
            r"^\| `([a-z0-9-]+)` \|", (ROOT / "docs" / "events.md").read_text().partition("## On `activity.dead`")[2], re.M
        )
    )
    code = "\n".join(path.read_text() for folder in ("activity", "agents") for path in (ROOT / folder).glob("*.py"))
    assert written == set(re.findall(r"Refused\(\s*\"([a-z0-9-]+)\"", code))


def test_the_event_of_the_documents_is_one() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "events.md").read_text(), re.S)
    assert isinstance(decode(b"u-42", example.encode()), Event)
    texts = (MAX_TEXT, MAX_EVENT // 1024, MAX_DEPTH)
    assert all(str(limit) in (ROOT / "docs" / "events.md").read_text() for limit in texts)

"""The documents' own commands: blocks ```console hold a command after `$ ` and what it prints.

A line `…` stands for what is left out. A comment before the block says what differs: `<!-- in any order -->` where several things
happen at once; `<!-- run by tests/… -->` where that test compares it.
"""

import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import takewhile
from pathlib import Path

import msgspec

from tests.processes import ROOT

LEARN = ROOT / "docs" / "learn"
BLOCK = re.compile(r"(?:<!-- (?P<note>[^\n]*) -->\n)?```console\n(?P<text>.*?)```", re.DOTALL)
VOLATILE = (
    (re.compile(r"\b(ann|ben)-[0-9a-f]{4}\b"), r"\1-xxxx"),
    (re.compile(r"\d+\.\d s\b"), "N s"),
    (re.compile(r"at most [2-4] at once"), "at most 4 at once"),
    (re.compile(r"^\d of 8\b", re.MULTILINE), "n of 8"),
)
ASIDE = "-- "
"""How a line begins that tells of the surroundings: brokers that start, what others left on a topic."""


class Example(msgspec.Struct, frozen=True):
    """A command of a page, and what the page says that it prints."""

    page: str
    command: str
    printed: str
    note: str

    @property
    def name(self) -> str:
        return f"{self.page}: {self.command}"


def examples(page: Path) -> list[Example]:
    """In the order of the page."""
    found = []
    for block in BLOCK.finditer(page.read_text()):
        for part in re.split(r"^\$ ", block["text"], flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            found.append(Example(page.name, command, printed, block["note"] or ""))
    return found


def blocks(page: Path) -> list[str]:
    """All code of a page but its pictures."""
    code = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [text for kind, text in code if kind != "mermaid"]


def normalised(text: str) -> list[str]:
    """Its lines without what differs from run to run."""
    for pattern, stands_for in VOLATILE:
        text = pattern.sub(stands_for, text)
    lines = (line.rstrip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith(ASIDE)]


def matches(example: Example, output: str) -> bool:
    """Whether the command printed what the page says."""
    shown, printed = normalised(example.printed), normalised(output)
    if example.note == "in any order":
        missing, more = Counter(shown) - Counter(printed), Counter(printed) - Counter(shown)
        return set(missing) <= {"…"} and (bool(missing) or not more)
    pattern = "\n".join(r"(?:.*\n)*?.*" if line == "…" else re.escape(line) for line in shown)
    return re.fullmatch(pattern, "\n".join(printed)) is not None


@cache
def run(command: str, kafka_url: str, rabbit_url: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Runs a command as a person in the repository would, on these brokers."""
    surrounding = {name: value for name, value in os.environ.items() if not name.startswith("CHOPAR_")}
    brokers = {"CHOPAR_KAFKA_URL": kafka_url, "CHOPAR_RABBIT_URL": rabbit_url, "CHOPAR_DATA_DIR": str(folder)}
    words = shlex.split(command, comments=True)
    given = dict(word.split("=", 1) for word in takewhile(lambda word: re.match(r"[A-Z_]+=", word), words))
    program, *arguments = words[len(given) :]
    binaries = Path(sys.executable).parent
    programs = {
        "make": ["make", "--no-print-directory", "--old-file=.venv/installed", f"BIN={binaries}"],
        "chopar": [sys.executable, "-m", "chopar"],
    }
    return subprocess.run(
        [*programs[program], *arguments],
        cwd=ROOT,
        env={**surrounding, **brokers, **given},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

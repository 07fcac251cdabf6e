"""What a checker found, and how it is told."""

import sys
from typing import Final

import msgspec

SHOWN: Final = 5
"""Broken promises of a kind that are told one by one."""


class Findings(msgspec.Struct):
    """What was counted, and each broken promise as a line."""

    counts: dict[str, int] = msgspec.field(default_factory=dict)
    broken: dict[str, list[str]] = msgspec.field(default_factory=dict)

    def count(self, what: str, number: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + number

    def breaks(self, promise: str, what: str) -> None:
        self.broken.setdefault(promise, []).append(what)


def tell(findings: Findings) -> None:
    """The figures, then what was broken."""
    for what, number in findings.counts.items():
        say(f"{what:<20} {number:>9,}")
    if not findings.broken:
        say("no promise was broken")
    for promise, lines in findings.broken.items():
        say(f"{promise.upper()}: {len(lines):,}")
        for line in lines[:SHOWN]:
            say(f"  {line}")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()

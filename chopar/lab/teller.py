"""How an experiment speaks: lines and tables on stdout, and, for a person, a pause before each step."""

import sys
from collections.abc import AsyncGenerator, Sequence

from chopar.reading import pieces
from chopar.terminal import cell, out, table


class Teller:
    """Tells of an experiment step by step. With `yes` it waits for nobody."""

    def __init__(self, *, yes: bool) -> None:
        self._answers: AsyncGenerator[bytes, None] | None = None if yes else pieces(sys.stdin.fileno())

    async def step(self, text: str) -> None:
        """What comes next. Waits for Enter, without holding up what else the event loop has to do, such as heartbeats."""
        self.tell(f"\n{text}")
        if self._answers is not None:
            sys.stderr.write("   [Enter] ")
            sys.stderr.flush()
            await anext(self._answers, b"")

    def tell(self, text: str) -> None:
        """A line."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def rows(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table."""
        made = table("", columns)
        for row in rows:
            made.add_row(*(cell(value) for value in row))
        out().print(made)

    def showed(self, text: str) -> None:
        """What it all showed; the last that is told."""
        self.tell(f"\nIt showed: {text}")

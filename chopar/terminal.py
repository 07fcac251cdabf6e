"""What people and programs get to see: results on stdout, everything else on stderr."""

import os
import sys
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

LEAST: Final = 16
PIPE_WIDTH: Final = 2000
"""Columns where there is no terminal: a table must not be cut for `grep`."""


def out() -> "Console":
    """Where results go. Colours only on a terminal, and none when NO_COLOR is set."""
    return _console(sys.stdout)


def err() -> "Console":
    """Where progress and remarks go."""
    return _console(sys.stderr)


def _console(stream: IO[str]) -> "Console":
    from rich.console import Console  # takes a while to import, and `--json` does without it

    colourless = bool(os.environ.get("NO_COLOR"))
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(
        file=stream, width=width, color_system=None if colourless else "auto", highlight=False, markup=False, emoji=False
    )


def say(text: str) -> None:
    """A remark for a person, on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def write_json(document: Any) -> None:
    """One JSON document and a line break, to stdout."""
    sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
    sys.stdout.flush()


def printable(text: object) -> str:
    """`text` without what could move a terminal's cursor or turn its text around: those characters are shown as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape", "replace").decode() for char in str(text))


def table(title: str, columns: Sequence[str], *, right: Sequence[str] = (), flexible: Sequence[str] = ()) -> "Table":
    """An empty table. The columns named in `right` hold numbers; those in `flexible` give way when the terminal is narrow."""
    from rich import box
    from rich.table import Table

    made = Table(
        title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False
    )
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", no_wrap=name not in flexible)
    return made


def fitting(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence["Text"]],
    *,
    drop: Sequence[str],
    right: Sequence[str] = (),
    flexible: Sequence[str] = (),
) -> "Table":
    """A table of `rows` that fits the terminal. Columns named in `drop` go, first to last, until it does.

    What stays is whole but for the columns in `flexible`, which are cut down to `LEAST` characters before one is dropped.
    """
    room = out().width
    kept = list(range(len(columns)))
    for name in drop:
        widths = [max([len(columns[n]), *(row[n].cell_len for row in rows)]) for n in kept]
        least = [min(width, LEAST) if columns[n] in flexible else width for n, width in zip(kept, widths, strict=True)]
        if sum(least) + 3 * (len(kept) - 1) <= room:
            break
        kept.remove(columns.index(name))
    made = table(title, [columns[n] for n in kept], right=right, flexible=flexible)
    for row in rows:
        made.add_row(*(row[n] for n in kept))
    return made


def cell(text: object, style: str = "", *, wrap: bool = False) -> "Text":
    """A table's cell that shows `text` as it is: no markup, no control characters. Cut where there is no room, or wrapped."""
    from rich.text import Text

    shown = printable("" if text is None else text)
    return Text(shown, style=style, no_wrap=not wrap, overflow="fold" if wrap else "ellipsis")


def moment(rfc3339: str) -> str:
    """A time in UTC for people, to the second."""
    return rfc3339[:19].replace("T", " ")

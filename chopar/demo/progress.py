"""How far the demo is: bars on a terminal, nothing elsewhere."""

import sys
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from chopar.terminal import err


class Progress:
    """A bar for each name, with its total."""

    def __init__(self, **totals: int) -> None:
        columns = (TextColumn("{task.description:>8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bars = Bars(*columns, console=err(), transient=True, disable=not sys.stderr.isatty())
        self._tasks = {name: self._bars.add_task(name, total=total) for name, total in totals.items()}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def tell(self, text: str) -> None:
        """A remark, above the bars."""
        self._bars.console.print(text)

    def advance(self, name: str, count: int) -> None:
        """So many more."""
        self._bars.advance(self._tasks[name], count)

    def set(self, name: str, count: int) -> None:
        """So many in all."""
        self._bars.update(self._tasks[name], completed=count)

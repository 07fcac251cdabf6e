"""Python's garbage collector in a worker: it finds nothing in what an event leaves behind, and looks for it all the time."""

import gc
from typing import Any, Final

YOUNG: Final = 50_000
"""New objects between two looks at the young ones; a chunk makes as many, and reference counts free them all."""


def relax_collector(*_: Any, **__: Any) -> None:
    """Look seldom, and never at what was there at the start: modules, the app, its settings."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)

"""That a checker shares no code with what it checks."""

import ast
import inspect
from types import ModuleType
from typing import Final

OURS: Final = ("activity", "agents", "brokers", "chopar", "rabbit", "store", "streams", "tables", "tests")


def imported(*modules: ModuleType) -> set[str]:
    """What `modules` import of this repository, but for the checkers' own parts."""
    found = set()
    for module in modules:
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.partition(".")[0] in OURS and not name.startswith("tests.chaos.")}

"""Each top-level package is ours: `agents` and `tables` are also names of packages on PyPI."""

from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", ["activity", "agents", "brokers", "chopar", "rabbit", "store", "streams", "tables"])
def test_a_package_resolves_to_this_repository(name: str) -> None:
    spec = find_spec(name)
    assert spec is not None, f"{name} is not installed; `make setup`"
    folders = {Path(place).resolve() for place in spec.submodule_search_locations or ()}
    assert folders == {ROOT / name}, "another package is in the way; Chopar needs a virtual environment of its own"

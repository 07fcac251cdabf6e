"""Where the table's states live, by the setting."""

import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from activity.errors import SettingError
from activity.settings import parse_settings
from streams import parts
from streams.parts import StatesPart
from tables.states import MemoryShelf


async def test_in_memory_nothing_is_opened() -> None:
    part = StatesPart(parse_settings())
    async with AsyncExitStack() as stack:
        await part.open(stack)
    assert isinstance(part.shelf, MemoryShelf)


async def test_on_disk_it_is_open_while_the_worker_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def identity(*_: object) -> str:
        return "this one"

    monkeypatch.setattr(parts, "topic_identity", identity)
    settings = parse_settings({"CHOPAR_TABLE_STORE": "rocksdb", "CHOPAR_DATA_DIR": str(tmp_path)})
    for offset in (3, 4):
        part = StatesPart(settings)
        async with AsyncExitStack() as stack:
            await part.open(stack)
            assert part.shelf.open(1).offset == (None if offset == 3 else 3)
            part.shelf.open(1).put({}, offset)


def test_without_the_package_the_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rocksdict", None)
    monkeypatch.delitem(sys.modules, "tables.disk", raising=False)
    with pytest.raises(SettingError, match=r"^CHOPAR_TABLE_STORE: rocksdb needs the package rocksdict .*chopar\[rocksdb\]"):
        StatesPart(parse_settings({"CHOPAR_TABLE_STORE": "rocksdb"}))

"""What people set while Chopar runs: one suite for the fake and each database."""

import pytest

from store.interfaces import Switches
from store.opening import Store
from tests.store.fakes import MemorySwitches


@pytest.fixture
def switches(any_store: Store | None) -> Switches:
    return MemorySwitches() if any_store is None else any_store.switches


async def test_what_was_written_last_stands_until_it_is_taken_away(switches: Switches) -> None:
    assert await switches.read("pause") is None
    await switches.write("pause", "1", 1.0)
    await switches.write("other", "x", 1.0)
    await switches.write("pause", "2", 2.0)
    assert await switches.read("pause") == "2"
    await switches.write("pause", None, 3.0)
    await switches.write("pause", None, 3.0)
    assert await switches.read("pause") is None
    assert await switches.read("other") == "x"

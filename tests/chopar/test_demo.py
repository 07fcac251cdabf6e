"""`chopar demo` from start to end, on brokers of its own."""

import re
from pathlib import Path

import msgspec
import pytest

from tests.chopar.running import chopar


@pytest.mark.kafka
@pytest.mark.rabbitmq
@pytest.mark.timeout(600)
def test_the_demo_adds_up_and_what_it_leaves_can_be_looked_into(tmp_path: Path) -> None:
    result = chopar("demo", "--events", "300", "--deadline", "240", timeout=500, data_dir=str(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "All sums add up" in result.stdout
    assert re.search(r"^sum +300 +300", result.stdout, re.MULTILINE)
    assert "Message-ID: <" in result.stdout
    found = re.search(r"chopar log (u-[0-9a-f]{4}-000) --json", result.stdout)
    assert found is not None
    shown = chopar("log", found[1], "--json", "--limit", "1000", data_dir=str(tmp_path / "demo"))
    positions = [entry["position"] for entry in msgspec.json.decode(shown.stdout)["events"]]
    assert positions == list(range(len(positions), 0, -1))
    assert positions
    assert not (tmp_path / "chopar.db").exists()

"""A short random run of a fixed seed; `make chaos` is the long one."""

import logging
from pathlib import Path

import pytest

from brokers.kafka import Kafka
from brokers.node import Node
from tests.chaos.run import Run, storm
from tests.rabbit.broker import empty


@pytest.mark.timeout(500)
async def test_nothing_is_broken_however_all_is_hurt(
    private_kafka: Node[Kafka], rabbit_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "aiokafka")  # its some hundred failed requests a second
    await empty(rabbit_url)
    run = Run(seed=31, mix="short", rate=400, users=100)
    findings = await storm(run, tmp_path, private_kafka, rabbit_url)
    assert findings.broken == {}, f"{run}: {findings.counts}"
    assert findings.counts["kill"] == 4
    assert findings.counts["stored"] > 5000

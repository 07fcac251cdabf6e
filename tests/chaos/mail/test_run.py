"""A short random run of a fixed seed; `make chaos-mail` is the long one."""

from pathlib import Path

import pytest

from brokers.node import Node
from brokers.rabbitmq import RabbitMQ
from tests.chaos.mail.run import Run, storm


@pytest.mark.timeout(500)
async def test_nothing_is_broken_however_all_is_hurt(private_rabbitmq: Node[RabbitMQ], tmp_path: Path) -> None:
    run = Run(seed=5, mix="short", rate=150, pace=0.2)
    findings = await storm(run, tmp_path, private_rabbitmq)
    assert findings.broken == {}, f"{run}: {findings.counts}"
    assert (findings.counts["kill"], findings.counts["broker"]) == (3, 1)
    assert findings.counts["sent"] > 0

"""A worker that can't reach the leader of the changelog while the file $BLOCK exists; its group's coordinator it can."""

import os
import runpy
import sys
from pathlib import Path
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import NodeNotReadyError
from aiokafka.protocol.produce import ProduceRequest

from activity.names import USERS_CHANGELOG

_send = AIOKafkaClient.send


async def send(self: AIOKafkaClient, node: int, request: Any, **options: Any) -> Any:
    """As the client does, or not at all."""
    is_blocked = Path(os.environ["BLOCK"]).exists()  # noqa: ASYNC240  (in a test)
    if is_blocked and isinstance(request, ProduceRequest) and any(topic == USERS_CHANGELOG for topic, _ in request._topics):
        raise NodeNotReadyError("the leader of the changelog can't be reached")
    return await _send(self, node, request, **options)


if __name__ == "__main__":
    AIOKafkaClient.send = send
    sys.argv = ["faust", "-A", "streams.main", "worker", "-l", "info"]
    runpy.run_module("faust", run_name="__main__")

"""A private RabbitMQ for a test or a run: this system's, or that of `CHOPAR_TEST_RABBIT_ROOT`."""

import os
import tempfile
from pathlib import Path
from typing import Final

from brokers.node import Node
from brokers.rabbitmq import RabbitMQ

# Under a name that is not Chopar's, which refuses a CHOPAR_ variable that it does not know; the workers of xdist inherit it.
RABBIT_ROOT: Final = os.environ.pop("CHOPAR_TEST_RABBIT_ROOT", "") or os.environ.get("TEST_RABBIT_ROOT", "")
os.environ["TEST_RABBIT_ROOT"] = RABBIT_ROOT


def rabbitmq_node(folder: Path) -> Node[RabbitMQ]:
    """A node that is not started, its data in `folder` or, with another root, below that: its server sees nothing else."""
    if RABBIT_ROOT:
        lab = Path(RABBIT_ROOT) / "lab"
        lab.mkdir(exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=lab))
        return Node(RabbitMQ(folder, root=Path(RABBIT_ROOT)), folder / "node.json")
    return Node(RabbitMQ(folder), folder / "node.json")

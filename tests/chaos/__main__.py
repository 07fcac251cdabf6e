"""`make chaos`: python -m tests.chaos [--seed N] [--mix NAME] [--rate N]. Exits with 1 if a promise was broken."""

import argparse
import asyncio
import logging
import random
import shutil
import sys
import tempfile
from pathlib import Path

from brokers.kafka import Kafka
from brokers.node import Node
from brokers.rabbitmq import RabbitMQ
from tests.chaos.findings import Findings, say, tell
from tests.chaos.run import Run, storm
from tests.chaos.storm import MIXES


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--mix", choices=sorted(MIXES), default="all")
    parser.add_argument("--rate", type=int, default=2000, help="events a second")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="keep the logs and the store, also if nothing was broken")
    given = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells each of some hundred failed requests a second
    folder = Path(tempfile.mkdtemp(prefix="chopar-chaos-"))
    say(f"seed {given.seed}, mix {given.mix}, {given.rate} events/s; logs in {folder}")
    findings = asyncio.run(run(Run(given.seed, given.mix, given.rate, workers=given.workers), folder))
    tell(findings)
    if findings.broken or given.keep:
        say(f"left in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if findings.broken else 0)


async def run(wanted: Run, folder: Path) -> Findings:
    """On brokers of its own."""
    kafka = Node(Kafka(folder / "kafka", heap_mb=384), folder / "kafka.json")
    rabbit = Node(RabbitMQ(folder / "rabbitmq"), folder / "rabbitmq.json")
    try:
        await kafka.start()
        await rabbit.start()
        return await storm(wanted, folder, kafka, rabbit.url)
    finally:
        await kafka.kill()
        await rabbit.kill()


if __name__ == "__main__":
    main()

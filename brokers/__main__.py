"""Both brokers in a folder until Ctrl-C or SIGTERM: `python -m brokers [--folder DIR] [--heap MB]`."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

import msgspec

from activity.errors import ChoparError
from brokers.discovery import given_settings
from brokers.local import LocalBrokers
from brokers.supervisor import until_stopped


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m brokers", description="Starts Kafka and RabbitMQ, prints their URLs, runs until Ctrl-C."
    )
    parser.add_argument("--folder", type=Path, help="the data folder (default: CHOPAR_DATA_DIR)")
    parser.add_argument("--heap", type=int, default=256, help="Kafka's heap in MB (default: %(default)s)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        asyncio.run(until_stopped(serve(arguments.folder, arguments.heap)))
    except ChoparError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


async def serve(folder: Path | None, heap_mb: int) -> None:
    """Runs until a broker dies or it is cancelled."""
    settings = given_settings()
    if folder is not None:
        settings = msgspec.structs.replace(settings, data_dir=folder)
    async with LocalBrokers(settings, heap_mb=heap_mb) as local:
        sys.stdout.write(f"CHOPAR_KAFKA_URL={local.kafka_url}\nCHOPAR_RABBIT_URL={local.rabbit_url}\n")
        sys.stdout.flush()
        await local.supervisor.watch()


if __name__ == "__main__":
    sys.exit(main())

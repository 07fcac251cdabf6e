"""How long a worker takes to start on the states of many users, and in how much memory.

    python -m benchmarks.start --users 1000000

Fills the changelog of a private Kafka, starts `faust -A streams.main worker` on it, and waits until it says that it is
ready. Seconds of a machine that does other things as well mean little: the CPU time stands beside them.
"""

import argparse
import asyncio
import math
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaProducer

from activity import names
from activity.order import Source, State, encode
from activity.settings import Settings, parse_settings
from activity.ticks import tick_value
from brokers import ports
from brokers.kafka import Kafka
from brokers.node import Node
from streams.topics import ensure_topics, partition_of

ROOT: Final = Path(__file__).parent.parent
READY: Final = b"Worker ready"
SHARES: Final = {
    "quiet": "forgotten after a quiet time",
    "few": "5 events each",
    "window": "a full window of 256 sequences each",
    "ids": "256 ids without sequence each",
    "mixed": "of ten users nine have had 5 events, one a full window; of twenty one has 256 ids",
}


def state(kind: str, number: int, chance: random.Random) -> bytes:
    """A user's state; checks and ids are as good as random."""
    if kind == "quiet":
        return encode(State(900, {"/web": Source(901)}), 0, math.inf)
    window = kind == "window" or (kind == "mixed" and number % 10 == 0)
    ids = kind == "ids" or (kind == "mixed" and number % 20 == 1)
    events = 900 if window else 5
    recent = chance.randbytes(1024 if window else 20)
    seen = chance.randbytes(2048) if ids else b""
    return encode(State(events, {"/web": Source(events + 1, recent)}, seen), 0)


def users(count: int) -> Iterator[bytes]:
    """User ids of 36 characters, as UUIDs have."""
    for number in range(count):
        yield str(uuid.UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)).encode()


async def fill(settings: Settings, count: int, writes: int, kind: str) -> int:
    """Write each user's state `writes` times to the changelog; gives how many bytes the states have."""
    await ensure_topics(settings)
    producer = AIOKafkaProducer(
        bootstrap_servers=(settings.kafka_url or "").removeprefix("kafka://"), max_batch_size=512 * 1024, max_request_size=2**20
    )
    await producer.start()
    chance, size = random.Random(1), 0  # noqa: S311  (not for secrets)
    batches = {number: producer.create_batch() for number in range(settings.partitions)}
    try:
        for _ in range(writes):
            for number, user in enumerate(users(count)):
                partition, value = partition_of(user, settings.partitions), state(kind, number, chance)
                size += len(value)
                if batches[partition].append(key=user, value=value, timestamp=None) is None:
                    await producer.send_batch(batches[partition], names.USERS_CHANGELOG, partition=partition)
                    batches[partition] = producer.create_batch()
                    batches[partition].append(key=user, value=value, timestamp=None)
        for partition, batch in batches.items():
            await (await producer.send_batch(batch, names.USERS_CHANGELOG, partition=partition))
            tick = [(names.KIND_HEADER, names.TICK)]  # the states know of offset 0, so there must be one
            await producer.send_and_wait(names.EVENTS, tick_value(5.0), partition=partition, headers=tick)
    finally:
        await producer.stop()
    return size // writes


def start(env: Mapping[str, str], folder: Path) -> dict[str, float]:
    """Start a worker, stop it once it is ready; seconds, CPU seconds and the most memory it had."""
    log = folder / "worker.log"
    log.write_bytes(b"")
    begin = time.monotonic()
    with log.open("ab") as output:
        command = (sys.executable, "-m", "faust", "-A", "streams.main", "worker", "-l", "info")
        worker = subprocess.Popen(command, cwd=ROOT, env=dict(env), stdout=output, stderr=output)  # noqa: S603  (our own)
    try:
        while READY not in log.read_bytes():
            if worker.poll() is not None:
                raise SystemExit(f"the worker ended:\n{log.read_text()}")
            time.sleep(0.1)
        seconds = time.monotonic() - begin
        stat = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
        status = dict(line.split(":", 1) for line in Path(f"/proc/{worker.pid}/status").read_text().splitlines())
        cpu = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
        return {"seconds": seconds, "cpu": cpu, "peak_mb": int(status["VmHWM"].split()[0]) / 1024}
    finally:
        worker.terminate()
        worker.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--writes", type=int, default=2, help="records in the changelog for each user (default: %(default)s)")
    parser.add_argument("--states", choices=SHARES, default="mixed", help="; ".join(f"{k}: {v}" for k, v in SHARES.items()))
    parser.add_argument("--store", choices=("memory", "rocksdb"), default="memory", help="(default: %(default)s)")
    parser.add_argument("--starts", type=int, default=2, help="one after the other, on the same folder (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chopar-start-") as name:
        folder = Path(name)
        kafka = Node(Kafka(folder / "kafka", heap_mb=768), folder / "node.json")
        asyncio.run(kafka.start())
        try:
            given = {
                "CHOPAR_KAFKA_URL": kafka.url,
                "CHOPAR_DATA_DIR": str(folder / "data"),
                "CHOPAR_TABLE_STORE": arguments.store,
                "CHOPAR_WEB_PORT": str(ports.choose(1)[0]),
            }
            size = asyncio.run(fill(parse_settings(given), arguments.users, arguments.writes, arguments.states))
            sys.stdout.write(
                f"{arguments.users:,} users, {arguments.states}, {size / arguments.users:,.0f} B a state, {arguments.store}\n"
            )
            surrounding = {name: value for name, value in os.environ.items() if not name.startswith("CHOPAR_")}
            for _ in range(arguments.starts):
                took = start({**surrounding, **given}, folder)
                sys.stdout.write(
                    f"ready after {took['seconds']:.1f} s, {took['cpu']:.1f} s of CPU, {took['peak_mb']:,.0f} MB at most\n"
                )
        finally:
            asyncio.run(kafka.stop())


if __name__ == "__main__":
    main()

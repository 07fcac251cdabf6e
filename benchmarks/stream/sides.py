"""Who runs: Chopar, and the peers, each by a command of its own."""

import sys
from pathlib import Path
from typing import Final

from activity import names
from benchmarks.stream.side import Side
from brokers.java import find_java

ROOT: Final = Path(__file__).parent.parent.parent
PEERS: Final = str(ROOT / ".venv-bench" / "bin" / "python")
JARS: Final = ROOT / "benchmarks" / "peers" / "kafka_streams" / "target"

_CHOPAR_ENV: Final = {
    "CHOPAR_KAFKA_URL": "kafka://{kafka}",
    "CHOPAR_DATA_DIR": "{folder}",
    "CHOPAR_STORE_URL": "sqlite:///{folder}/chopar.db",
    "CHOPAR_WEB_PORT": "16066",
    # The input was sent before the run: by the clock every gap in it would be old, and be given up by ticks in the input.
    "CHOPAR_GAP_TIMEOUT": "1h",
}


def chopar(name: str, module: str, processes: int = 1) -> Side:
    """A worker of Chopar, or several."""
    return Side(
        name,
        (sys.executable, "-m", "faust", "-A", module, "worker", "-l", "info"),
        env=_CHOPAR_ENV,
        output=names.LOG,
        group=names.APP,
        owns=(names.LOG, names.DEAD, names.USERS_CHANGELOG),
        processes=processes,
    )


def peer(name: str, *arguments: str, commits: bool = True, short: bool = False, owns: tuple[str, ...] = ()) -> Side:
    """A peer in Python."""
    return Side(name, (PEERS, "-m", *arguments), commits=commits, short=short, owns=("bench.{run}", *owns))


SEQUENCER: Final = "benchmarks.stream.sequencer"
CHOPAR: Final = chopar("chopar", SEQUENCER)
TWO: Final = chopar("chopar, 2 workers", SEQUENCER, processes=2)
WORKER: Final = chopar("chopar worker", "streams.main")
CONFLUENT: Final = peer("confluent-kafka", "benchmarks.peers.confluent_loop")
AIOKAFKA: Final = peer("aiokafka", "benchmarks.peers.aiokafka_loop")
BYTEWAX: Final = peer("Bytewax", "bytewax.run", "benchmarks.peers.bytewax_flow:flow", commits=False)
QUIX: Final = peer("Quix Streams", "benchmarks.peers.quix", owns=("changelog__bench.{run}",))
FASTSTREAM: Final = peer("FastStream", "benchmarks.peers.faststream_batches")
FAUST: Final = peer("Faust", "faust", "-A", "benchmarks.peers.faust_vanilla", "worker", "-l", "warn", short=True)


def kafka_streams() -> Side:
    """The peer in Java. Raises ChoparError where there is no Java."""
    return Side("Kafka Streams", (find_java(), "-Xmx512m", "-cp", f"{JARS}/*:{JARS}/libs/*", "chopar.peer.Main"))


def everyone() -> list[Side]:
    """Chopar first; the limits, which keep no changelog; the peers."""
    return [CHOPAR, CONFLUENT, AIOKAFKA, kafka_streams(), BYTEWAX, QUIX, FASTSTREAM, FAUST]

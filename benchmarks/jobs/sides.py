"""Who runs: Chopar, the limit, and the frameworks, each by commands of its own."""

import sys
from pathlib import Path
from typing import Final

import msgspec

from activity.names import TRANSACTIONAL_QUEUE
from benchmarks.peers.jobs.work import QUEUE

ROOT: Final = Path(__file__).parent.parent.parent
BIN: Final = ROOT / ".venv-bench" / "bin"
OURS: Final = "chopar"
LIMIT: Final = "aio-pika"
FRAMEWORKS: Final = ("Celery", "Dramatiq", "Taskiq", "FastStream")

Command = tuple[str, ...]


class Side(msgspec.Struct, frozen=True):
    """`publish` puts jobs on `queue` and ends; `work` does them until SIGTERM, `mail` mails them."""

    name: str
    publish: Command
    work: Command
    mail: Command
    queue: str = QUEUE

    @property
    def ours(self) -> bool:
        """Whether it has a ledger that is to be checked too."""
        return self.name == OURS


def _peer(name: str, module: str, *work: str) -> Side:
    python = str(BIN / "python")
    command = (str(BIN / work[0]), *work[1:]) if work else (python, "-m", module)
    return Side(name, (python, "-m", module, "publish"), command, command)


def everyone() -> list[Side]:
    """Chopar first, then the limit, then the frameworks."""
    peers, ours = "benchmarks.peers.jobs", (sys.executable, "-m", "benchmarks.jobs.worker")
    celery = ("celery", "-A", f"{peers}.celery_app", "worker", "-P", "prefork", "-c", "4", "-l", "warning")
    return [
        Side(OURS, (*ours, "publish"), ours, (sys.executable, "-m", "rabbit"), TRANSACTIONAL_QUEUE),
        _peer(LIMIT, f"{peers}.aio_pika_loop"),
        _peer("Celery", f"{peers}.celery_app", *celery, "--without-gossip", "--without-mingle", "--without-heartbeat"),
        _peer("Dramatiq", f"{peers}.dramatiq_app", "dramatiq", f"{peers}.dramatiq_app", "-p", "2", "-t", "4"),
        _peer("Taskiq", f"{peers}.taskiq_app", "taskiq", "worker", f"{peers}.taskiq_app:broker", "--workers", "2"),
        _peer("FastStream", f"{peers}.faststream_app", "faststream", "run", f"{peers}.faststream_app:app", "--workers", "2"),
    ]

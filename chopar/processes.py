"""The processes of the application: how each is started, and how one sees that it is ready."""

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from activity.settings import Settings
from brokers.child import Child
from chopar.environment import environment_of

WORKER: Final = ("-m", "faust", "-A", "streams.main", "worker", "-l", "info")
NOTIFIER: Final = ("-m", "faust", "-A", "streams.notify", "worker", "-l", "info")
MAILER: Final = ("-m", "rabbit")
INBOX: Final = ("-m", "chopar.inbox")

_PROCESSES: Final = {
    "worker": (WORKER, "Worker ready"),
    "notifier": (NOTIFIER, "Worker ready"),
    "mailer": (MAILER, ": sending"),
}
NAMES: Final = tuple(_PROCESSES)
_GRACE: Final = 20.0
"""Seconds that each may take to end: a worker returns within 15, a mailer within 11 after the mails it is at."""
HOME: Final = Path(__file__).parent.parent
"""Where `rules.toml` and `templates/` of a fresh clone are."""
_HEAD: Final = 256 * 1024


def process(name: str, settings: Settings) -> Child:
    """One of `NAMES` as a child with exactly these settings. Its log is in the data folder."""
    argv, ready = _PROCESSES[name]
    log = log_path(settings, name)
    return Child(
        name=name,
        argv=[sys.executable, *argv],
        env=_environment(settings),
        log_path=log,
        ready=_says(log, ready),
        grace=_GRACE + (settings.smtp_timeout if name == "mailer" else 0.0),
    )


def inbox(settings: Settings, port: int, folder: Path) -> Child:
    """A local mail server that keeps what it gets in `folder`."""
    log = log_path(settings, "inbox")
    return Child(
        name="inbox",
        argv=[sys.executable, *INBOX, str(port), str(folder)],
        env=_environment(settings),
        log_path=log,
        ready=_says(log, "inbox: smtp://"),
        grace=5.0,
    )


def log_path(settings: Settings, name: str) -> Path:
    """Where a child's output goes. The output before its last start is beside it, in `….log.1`."""
    return settings.data_dir / "logs" / f"{name}.log"


def _environment(settings: Settings) -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(HOME), os.environ.get("PYTHONPATH"))))
    return {**environment_of(settings), "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def _says(log: Path, words: str) -> Callable[[], Awaitable[bool]]:
    """Whether the first part of the log has `words`: the only sign that all of the processes give."""

    async def ready() -> bool:
        with log.open("rb") as file:
            return words.encode() in file.read(_HEAD)

    return ready

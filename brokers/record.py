"""Who was started: a file that outlives its writer, so that nothing it started has to."""

import json
import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Started:
    """A process that leads a session of its own. `ticks` (since boot) tells it from a later one with the same pid."""

    name: str
    pid: int
    ticks: int
    grace: float


def write(path: Path, started: Iterable[Started]) -> None:
    """Replaces the record in one step: a reader sees the old one or the new one."""
    boot = BOOT_ID.read_text().strip() if BOOT_ID.exists() else ""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(json.dumps({"boot": boot, "children": [asdict(child) for child in started]}))
    draft.replace(path)


def read(path: Path) -> list[Started]:
    """What the record holds; nothing if there is none, or if it is from before the machine was started."""
    try:
        content = json.loads(path.read_text())
        if BOOT_ID.exists() and content["boot"] != BOOT_ID.read_text().strip():
            return []
        return [Started(**child) for child in content["children"]]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return []


def sweep(path: Path) -> list[str]:
    """Ends what the record's writer left running, the latest first, and gives the names. Nothing else is touched.

    Each gets SIGTERM, and SIGKILL when its grace is over.
    """
    swept = []
    for child in reversed(read(path)):
        if not members(child):
            continue
        swept.append(child.name)
        signal_all(child, signal.SIGTERM)
        deadline = time.monotonic() + child.grace
        while members(child) and time.monotonic() < deadline:
            time.sleep(0.05)
        signal_all(child, signal.SIGKILL)
    path.unlink(missing_ok=True)
    return swept


def signal_all(child: Started, number: signal.Signals) -> None:
    """Sends the signal to the child and to all that it started in its session."""
    for pid in members(child):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def members(child: Started) -> list[int]:
    """The living processes of the child's session."""
    alive = {pid: (session, ticks) for pid, session, ticks in _processes()}
    leader = alive.get(child.pid)
    if leader is not None and leader[1] != child.ticks:
        return []  # another process has its pid now
    return [pid for pid, (session, ticks) in alive.items() if session == child.pid and ticks >= child.ticks]


def ticks(pid: int) -> int:
    """When the process was started. Raises ProcessLookupError if there is none (a zombie counts as one)."""
    stat = _stat(pid)
    if stat is None:
        raise ProcessLookupError(pid)
    return int(stat[19])


def _processes() -> Iterator[tuple[int, int, int]]:
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal() and (stat := _stat(int(entry.name))) is not None and stat[0] not in "ZX":
            yield int(entry.name), int(stat[3]), int(stat[19])


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat from the third (state) on; the second is the name, which may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None

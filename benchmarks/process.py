"""A side's process, and what it has cost when it has ended."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

STOPPING: Final = 30.0


class Process:
    """A side's process while it runs; its log in `folder`."""

    def __init__(self, command: tuple[str, ...], env: Mapping[str, str], folder: Path, log: str = "log") -> None:
        surrounding = {name: value for name, value in os.environ.items() if not name.startswith(("CHOPAR_", "BENCH_"))}
        self.log = folder / log
        with self.log.open("ab") as output:
            self._popen = subprocess.Popen(  # noqa: S603  (our own commands)
                command, env={**surrounding, **env}, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def ended(self) -> bool:
        """Whether it ended by itself."""
        status = os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return status is not None

    @property
    def code(self) -> int | None:
        """How it ended, once `stop` has seen it."""
        return self._popen.returncode

    def peak_mb(self) -> float:
        """The most memory it and its children have had. Not from its resource usage: that begins with its parent's."""
        return sum(_memory(pid, "VmHWM") for pid in _session(self._popen.pid))

    def resident_mb(self) -> float:
        """The memory that it and its children have."""
        return sum(_memory(pid, "VmRSS") for pid in _session(self._popen.pid))

    async def stop(self) -> float:
        """SIGTERM, and after a while SIGKILL; gives the CPU seconds that it took."""
        os.kill(self._popen.pid, signal.SIGTERM)  # not by Popen, which would take the usage of one that has ended
        killer = asyncio.get_running_loop().call_later(STOPPING, os.kill, self._popen.pid, signal.SIGKILL)
        _, status, usage = await asyncio.to_thread(os.wait4, self._popen.pid, 0)
        killer.cancel()
        self._popen.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_utime + usage.ru_stime

    def kill(self) -> None:
        """SIGKILL, if it still runs: a run that is broken off leaves nothing behind."""
        if self._popen.returncode is None:
            os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait()

    def tail(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


def _session(leader: int) -> list[int]:
    """The processes that run in the session of `leader`, which is one of them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if int((folder / "stat").read_text().rpartition(")")[2].split()[3]) == leader:
                found.append(int(folder.name))
    return found


def _memory(pid: int, name: str) -> float:
    with contextlib.suppress(OSError):
        found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0

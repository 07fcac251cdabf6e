"""A child process: how to start it, whether it lives, how it ends."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from activity.settings import redact
from brokers import record

TAIL_LINES: Final = 15
COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
TAIL_BYTES: Final = 64 * 1024


@dataclass(frozen=True)
class Child:
    """What to start. `ready` is asked again and again until it says True; None: ready as soon as it runs."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log_path: Path
    ready: Callable[[], Awaitable[bool]] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 30.0
    deadline: float = 120.0
    """How long it may take to get ready, in seconds."""
    folder: Path | None = None
    """Where it runs; None: where we do."""


class Process:
    """A running child in a session of its own: a Ctrl-C in the terminal does not reach it, a kill reaches all of it.

    Not bound to an event loop or a thread.
    """

    def __init__(self, child: Child) -> None:
        self.child = child
        child.log_path.parent.mkdir(parents=True, exist_ok=True)
        if child.log_path.exists():
            child.log_path.replace(child.log_path.with_name(f"{child.log_path.name}.1"))
        with child.log_path.open("wb") as log:
            self._popen = subprocess.Popen(  # noqa: S603 - the argv is ours
                child.argv,
                env=dict(child.env),
                cwd=child.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started = record.Started(child.name, self._popen.pid, record.ticks(self._popen.pid), child.grace)

    @property
    def pid(self) -> int:
        return self._popen.pid

    async def exited(self) -> int:
        """Waits for its end; the exit status, negative for the signal that ended it."""
        if (status := self._popen.poll()) is not None:
            return status
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        handle = os.pidfd_open(self.pid)
        loop.add_reader(handle, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(handle)
            os.close(handle)
        return self._popen.wait()

    async def stop(self) -> None:
        """Asks it to end, waits for `grace`, then kills what is left of its session."""
        if self._popen.poll() is None:
            os.kill(self.pid, self.child.stop_signal)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.exited(), self.child.grace)
        await self.kill()

    async def kill(self) -> None:
        """SIGKILL to it and to all that it started. It is gone when this returns."""
        record.signal_all(self.started, signal.SIGKILL)
        await self.exited()

    def tail(self) -> list[str]:
        """The last lines it wrote, without passwords and colours."""
        with self.child.log_path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        return [redact(COLOUR.sub("", line)) for line in lines[-TAIL_LINES:]]


def describe(status: int) -> str:
    """An exit status for a person: `exit code 1` or `SIGKILL`."""
    if status >= 0:
        return f"exit code {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"

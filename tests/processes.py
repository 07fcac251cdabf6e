"""Chopar's own processes as tests run them: started, watched by their logs, killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
FAUST: Final = (sys.executable, "-m", "faust")
WORKER: Final = (*FAUST, "-A", "streams.main", "worker", "-l", "info")
NOTIFIER: Final = (*FAUST, "-A", "streams.notify", "worker", "-l", "info")
MAILER: Final = (sys.executable, "-m", "rabbit")


class Process:
    """One of our processes. `env` are `CHOPAR_` settings; others of the surrounding environment are not passed on."""

    def __init__(self, command: tuple[str, ...], env: Mapping[str, str], log: Path) -> None:
        self.command, self.env, self.log = command, env, log
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> "Process":
        surrounding = {name: value for name, value in os.environ.items() if not name.startswith("CHOPAR_")}
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                self.command, cwd=ROOT, env={**surrounding, **self.env}, stdout=log, stderr=log, start_new_session=True
            )
        return self

    def kill(self) -> None:
        """SIGKILL."""
        self.signal(signal.SIGKILL)
        self.wait()

    def signal(self, number: int) -> None:
        assert self._popen is not None
        if self._popen.poll() is None:
            self._popen.send_signal(number)

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self, timeout: float = 60.0) -> int:
        """The exit code once it has ended."""
        assert self._popen is not None
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
            raise AssertionError(f"it did not end within {timeout} s:\n{self.tail()}") from None

    @property
    def left(self) -> int | None:
        """Its exit code, if it has ended."""
        return None if self._popen is None else self._popen.poll()

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def tail(self, lines: int = 30) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def says(self, text: str, timeout: float = 90.0) -> None:
        """Wait until its log has `text`."""
        deadline = time.monotonic() + timeout
        while text not in self.log.read_text(errors="replace"):
            if not self.running:
                raise AssertionError(f"it ended before it said {text!r}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"it did not say {text!r} within {timeout} s:\n{self.tail()}")
            time.sleep(0.1)

    def __enter__(self) -> "Process":
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.running:
            self.kill()

"""Waits until the supervisor is gone, however it went, then ends what it left: `python -m brokers.watchdog RECORD`.

The supervisor holds the other end of standard input. A death signal (PR_SET_PDEATHSIG) would be simpler, but it comes
when the thread that started the child ends, and it reaches the child only, not what that started.
"""

import signal
import sys
from pathlib import Path

from brokers import record


def main(path: Path) -> None:
    """Returns at the end of standard input, with everything in the record ended."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    record.sweep(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

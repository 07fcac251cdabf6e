"""Leaving the process at once, where staying would break a promise. As safe as SIGKILL, and proven by the same tests.

Exit codes are those of BSD's sysexits.h: a supervisor starts the process again.
"""

import logging
import os
import sys
from typing import Final, NoReturn

from activity.errors import ChoparError

SOFTWARE: Final = 70
"""An agent raised. Its chunk is not committed; whoever starts next reads it again."""
TEMPFAIL: Final = 75
"""The process was paused for longer than its group waits, or its recovery hangs."""

log = logging.getLogger(__name__)


def leave(code: int, why: str) -> NoReturn:
    """End the process now: nothing is flushed, committed or sent any more."""
    log.critical("leaving with exit code %d: %s", code, why)
    logging.shutdown()
    os._exit(code)


def give_up(error: ChoparError) -> NoReturn:
    """End a process that can't start: one line that says what to do, exit code 1, no traceback."""
    stderr = sys.__stderr__ or sys.stderr  # Faust has put its log in the place of the other
    stderr.write(f"chopar: {error}\n")
    stderr.flush()
    os._exit(1)

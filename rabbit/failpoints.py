"""Places where a test may have the process killed: `FAILPOINT=sequencer.delivered:3` is SIGKILL at the third pass.

Without the variable each is one call of a function that does nothing, once a chunk, a transaction or a mail. Both sides have them
here, the lowest package that both see.
"""

import os
import signal
from collections.abc import Callable
from typing import Final

VARIABLE: Final = "FAILPOINT"
POINTS: Final = (
    "sequencer.taken",
    "sequencer.decided",
    "sequencer.delivered",
    "sequencer.written",
    "sequencer.done",
    "archiver.taken",
    "archiver.appended",
    "archiver.done",
    "desk.taken",
    "desk.kept",
    "desk.done",
    "replay.sent",
    "notifier.taken",
    "notifier.confirming",
    "notifier.published",
    "notifier.done",
    "producer.answered",
    "consumer.committing",
    "consumer.committed",
    "mailer.claiming",
    "mailer.claimed",
    "mailer.answered",
    "mailer.settled",
    "mailer.published",
    "mailer.acknowledged",
    "intake.taken",
    "intake.kept",
    "intake.acknowledged",
    "scheduler.taken",
    "scheduler.published",
    "scheduler.marked",
)


def armed(text: str | None) -> Callable[[str], None]:
    """The function to call at each point. Raises ValueError if `text` names none."""
    if not text:
        return _nothing
    name, _, count = text.partition(":")
    if name not in POINTS or not count.isdigit():
        raise ValueError(f"FAILPOINT: expected one of {', '.join(POINTS)}, a colon and a number, not {text!r}")
    left = int(count)

    def maybe_die(point: str) -> None:
        nonlocal left
        if point == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return maybe_die


def _nothing(point: str) -> None:
    return None


failpoint: Final = armed(os.environ.get(VARIABLE))

"""Keeping the application's processes running, and ending in good order."""

import asyncio
import logging
import re
import signal
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, NoReturn

from activity.retry import backoff
from brokers.child import Child
from brokers.supervisor import Crashed, Supervisor

PURPOSE: Final = (70, 75)
"""Exit codes of a process that left because staying would have broken a promise (`streams/exits.py`): it is started again."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
STEADY: Final = 60.0
"""Seconds after which a restarted process counts as steady: its next pause is a short one again."""

logger = logging.getLogger(__name__)


def growing_pause(restart: int) -> float:
    """Seconds before restart number `restart` (from 1)."""
    return backoff(restart, FIRST_PAUSE, LONGEST_PAUSE, 1.0)


async def keep_running(
    supervisor: Supervisor, children: Mapping[str, Child], pause: Callable[[int], float] = growing_pause
) -> NoReturn:
    """Starts those of `children` again that leave on purpose, after growing pauses.

    Raises Crashed, which has the name and the end of the log, as soon as a process ends in another way.
    """
    restarts: Counter[str] = Counter()
    started: dict[str, float] = {}
    clock = asyncio.get_running_loop().time
    again: str | None = None
    while True:
        try:
            if again is not None:
                await asyncio.sleep(pause(restarts[again]))
                started[again] = clock()
                await supervisor.start(children[again])
                again = None
            await supervisor.watch()
        except Crashed as error:
            if error.name not in children or not left_on_purpose(error):
                raise
            again = error.name
            if clock() - started.get(again, clock()) > STEADY:
                restarts[again] = 0
            restarts[again] += 1
            logger.warning("%s; starting it again", str(error).partition("; the end of")[0])
            await supervisor.end(again)


def left_on_purpose(error: Crashed) -> bool:
    """Whether the process asked to be started again."""
    found = re.search(r"ended [a-z ]+\(exit code (\d+)\)", str(error))
    return found is not None and int(found[1]) in PURPOSE


class Stopped(Exception):
    """A signal asked us to end, and everything is stopped."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.number = number


async def until_signal(work: Coroutine[Any, Any, None]) -> None:
    """Runs `work` to its end. Ctrl-C, SIGTERM or SIGHUP cancels it, so that its `async with` blocks stop what they started;
    then raises Stopped. A second signal does not break that off."""
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(work)
    stopped: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        if not stopped:
            stopped.append(number)
            task.cancel()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop, number)
    try:
        await task
    except asyncio.CancelledError:
        if not stopped:
            task.cancel()
            raise
        raise Stopped(stopped[0]) from None
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)

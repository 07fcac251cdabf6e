"""The event loop of a mailer."""

from collections.abc import Coroutine
from typing import TypeVar

import uvloop

T = TypeVar("T")


def run_fast(main: Coroutine[object, object, T]) -> T:
    """As `asyncio.run`, on libuv: a job costs a third less there."""
    return uvloop.run(main)

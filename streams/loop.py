"""The event loops of a worker: its own, and that of the thread that reads."""

import asyncio

import uvloop


def use_fast_loop() -> None:
    """Have the loops that this process makes run on libuv. Call it before the app is made."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

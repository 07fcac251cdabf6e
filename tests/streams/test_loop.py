"""Which event loop a worker runs on."""

import asyncio

import uvloop

from streams.loop import use_fast_loop


def test_the_loops_that_are_made_run_on_libuv() -> None:
    before = asyncio.get_event_loop_policy()
    try:
        use_fast_loop()
        loop = asyncio.new_event_loop()
        loop.close()
    finally:
        asyncio.set_event_loop_policy(before)
    assert isinstance(loop, uvloop.Loop)

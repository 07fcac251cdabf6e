"""Starts `tests.store.child` processes."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]


@asynccontextmanager
async def child(mode: str, url: str, owner: str) -> AsyncIterator[Process]:
    """A child that is ready; it begins when it gets a line. It does not outlive the block."""
    arguments = ["-m", "tests.store.child", mode, url, owner]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=_ROOT)
    try:
        assert await line(process) == "ready"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def begin(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")


async def line(process: Process) -> str:
    """The next line that it says."""
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def rest(process: Process) -> list[str]:
    """All further lines, once it has ended."""
    out, _ = await process.communicate()
    return out.decode().split("\n")[:-1]


async def together(mode: str, url: str, number: int) -> list[list[str]]:
    """What several children say that begin at once; all must end well."""
    async with AsyncExitStack() as stack:
        children = [await stack.enter_async_context(child(mode, url, f"o-{index}")) for index in range(number)]
        for process in children:
            begin(process)
        said = await asyncio.gather(*(process.communicate() for process in children))
        for process, (_, errors) in zip(children, said, strict=True):
            assert process.returncode == 0, errors.decode()
        return [out.decode().split() for out, _ in said]

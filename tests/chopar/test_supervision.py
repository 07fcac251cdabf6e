"""Children that leave on purpose come back; others end everything."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from brokers.child import Child
from brokers.supervisor import Crashed, Supervisor
from chopar.supervision import FIRST_PAUSE, LONGEST_PAUSE, Stopped, growing_pause, keep_running, until_signal

COUNT = """
import pathlib, sys, time
file = pathlib.Path(sys.argv[1])
starts = len(file.read_text()) + 1 if file.exists() else 1
file.write_text("x" * starts)
codes = [int(code) for code in sys.argv[2].split(",")]
print("this is start number", starts, flush=True)
if starts <= len(codes):
    sys.exit(codes[starts - 1])
time.sleep(300)
"""


def child(folder: Path, codes: str) -> Child:
    """It ends with each of `codes`, one a start, then stays."""
    argv = [sys.executable, "-c", COUNT, str(folder / "starts"), codes]
    return Child(name="worker", argv=argv, env=os.environ, log_path=folder / "worker.log")


async def until_starts(folder: Path, count: int) -> None:
    async with asyncio.timeout(60):
        while not (folder / "starts").exists() or len((folder / "starts").read_text()) < count:  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.05)


async def test_a_child_that_leaves_on_purpose_is_started_again_after_growing_pauses(tmp_path: Path) -> None:
    worker = child(tmp_path, "70,75")
    pauses: list[int] = []

    def pause(restart: int) -> float:
        pauses.append(restart)
        return 0.01

    async with Supervisor(tmp_path / "record.json") as supervisor:
        await supervisor.start(worker)
        keeping = asyncio.create_task(keep_running(supervisor, {"worker": worker}, pause))
        await until_starts(tmp_path, 3)
        assert pauses == [1, 2]
        assert not keeping.done()
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


@pytest.mark.parametrize("codes", ["1", "0", "70,3"])
async def test_any_other_end_ends_all_with_its_name_and_the_end_of_its_log(tmp_path: Path, codes: str) -> None:
    worker = child(tmp_path, codes)
    async with Supervisor(tmp_path / "record.json") as supervisor:
        await supervisor.start(worker)
        with pytest.raises(Crashed, match=r"worker: ended by itself(.|\n)*this is start number") as caught:
            await keep_running(supervisor, {"worker": worker}, lambda restart: 0.01)
    assert f"(exit code {codes.rpartition(',')[2]})" in str(caught.value)


async def test_a_broker_is_never_started_again(tmp_path: Path) -> None:
    broker = child(tmp_path, "75")
    async with Supervisor(tmp_path / "record.json") as supervisor:
        await supervisor.start(broker)
        with pytest.raises(Crashed):
            await keep_running(supervisor, {}, lambda restart: 0.01)


def test_the_pauses_grow_to_a_limit() -> None:
    pauses = [growing_pause(restart) for restart in range(1, 100)]
    assert pauses[0] == FIRST_PAUSE
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_lets_the_work_stop_what_it_started_and_a_second_one_does_not_break_that_off(
    number: signal.Signals,
) -> None:
    stopped: list[str] = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), number)
            await asyncio.sleep(0.1)
            stopped.append("cleanly")

    with pytest.raises(Stopped) as caught:
        await until_signal(work())
    assert caught.value.number is number
    assert stopped == ["cleanly"]


async def test_work_that_ends_or_fails_by_itself_does_so() -> None:
    async def fail() -> None:
        raise ValueError("its own")

    await until_signal(asyncio.sleep(0))
    with pytest.raises(ValueError, match="its own"):
        await until_signal(fail())

"""Children: started, watched, ended; and nothing else."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activity.errors import ChoparError
from brokers import record
from brokers.child import Child
from brokers.supervisor import Crashed, Supervisor, run

WAIT = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('ready', 'w').close(); time.sleep(600)"


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    async with Supervisor(tmp_path / "up.json") as started:
        yield started


def child(
    folder: Path, name: str, code: str, *, grace: float = 30, ready_file: str | None = None, deadline: float = 120
) -> Child:
    async def ready() -> bool:
        return (folder / (ready_file or "")).exists()

    return Child(
        name=name,
        argv=[sys.executable, "-c", code],
        env=os.environ,
        log_path=folder / f"{name}.log",
        ready=ready if ready_file else None,
        grace=grace,
        folder=folder,
        deadline=deadline,
    )


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def gone(*pids: int) -> None:
    async with asyncio.timeout(60):
        while any(lives(pid) for pid in pids):  # noqa: ASYNC110 - not our children: there is no event
            await asyncio.sleep(0.05)


async def test_a_crash_is_reported_by_name_with_the_end_of_the_log(supervisor: Supervisor, tmp_path: Path) -> None:
    await supervisor.start(child(tmp_path, "first", WAIT))
    await supervisor.start(
        child(tmp_path, "second", "print('\\x1b[31mamqp://me:secret@host\\x1b[0m'); print('no space left'); exit(3)")
    )
    with pytest.raises(Crashed) as crash:
        await supervisor.watch()
    assert str(crash.value).startswith("second: ended by itself (exit code 3)")
    assert str(crash.value).endswith("    amqp://me:***@host\n    no space left")


async def test_the_signal_that_ended_a_child_is_named(supervisor: Supervisor, tmp_path: Path) -> None:
    await supervisor.start(child(tmp_path, "victim", WAIT))
    os.kill(supervisor.pids()["victim"], signal.SIGKILL)
    with pytest.raises(Crashed, match=r"victim: ended by itself \(SIGKILL\).*it wrote nothing"):
        await supervisor.watch()


async def test_a_child_that_ends_before_it_is_ready(supervisor: Supervisor, tmp_path: Path) -> None:
    with pytest.raises(Crashed, match=r"(?s)early: ended before it was ready \(exit code 1\).*bad port"):
        await supervisor.start(child(tmp_path, "early", "exit('bad port')", ready_file="never"))


async def test_a_child_that_is_never_ready(supervisor: Supervisor, tmp_path: Path) -> None:
    with pytest.raises(Crashed, match=r"slow: not ready after 0\.5 s"):
        await supervisor.start(child(tmp_path, "slow", WAIT, ready_file="never", deadline=0.5))


async def test_a_program_that_is_not_there(supervisor: Supervisor, tmp_path: Path) -> None:
    with pytest.raises(ChoparError, match="ghost: could not start /no/such/program: No such file"):
        await supervisor.start(Child("ghost", ["/no/such/program"], os.environ, tmp_path / "log"))


async def test_a_child_that_starts_while_we_watch_is_watched_too(supervisor: Supervisor, tmp_path: Path) -> None:
    await supervisor.start(child(tmp_path, "first", WAIT))
    watching = asyncio.create_task(supervisor.watch())
    await asyncio.sleep(0)
    await supervisor.start(child(tmp_path, "late", "exit(5)"))
    with pytest.raises(Crashed, match="late: ended by itself"):
        await watching


async def test_a_planned_end_is_no_crash(supervisor: Supervisor, tmp_path: Path) -> None:
    await supervisor.start(child(tmp_path, "first", WAIT))
    await supervisor.start(child(tmp_path, "second", WAIT))
    watching = asyncio.create_task(supervisor.watch())
    await asyncio.sleep(0)
    await supervisor.end("first")
    assert list(supervisor.pids()) == ["second"]
    assert not watching.done()
    os.kill(supervisor.pids()["second"], signal.SIGKILL)
    with pytest.raises(Crashed, match="second"):
        await watching


async def test_they_stop_in_reverse_order(supervisor: Supervisor, tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (open('order', 'a').write('{0} '), sys.exit()))\n"
        "open('{0}', 'w').close()\n"
        "time.sleep(600)"
    )
    for name in ("one", "two", "three"):
        await supervisor.start(child(tmp_path, name, code.format(name), ready_file=name))
    await supervisor.stop()
    assert (tmp_path / "order").read_text() == "three two one "


async def test_a_child_that_does_not_stop_is_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    await supervisor.start(child(tmp_path, "stubborn", STUBBORN, grace=0.2, ready_file="ready"))
    pid = supervisor.pids()["stubborn"]
    await supervisor.stop()
    assert not lives(pid)
    assert not (tmp_path / "up.json").exists()


async def test_what_a_child_started_ends_with_it(supervisor: Supervisor, tmp_path: Path) -> None:
    inner = f"subprocess.Popen([sys.executable, '-c', {WAIT!r}])"
    code = f"import subprocess, sys; p = {inner}; open('pid', 'w').write(str(p.pid)); p.wait()"
    await supervisor.start(child(tmp_path, "parent", code, ready_file="pid"))
    grandchild = int((tmp_path / "pid").read_text())
    await supervisor.kill()
    await gone(grandchild)


async def test_the_last_log_is_kept(supervisor: Supervisor, tmp_path: Path) -> None:
    for word in ("old", "new"):
        await supervisor.start(
            child(tmp_path, "talker", f"print({word!r}, flush=True); open({word!r}, 'w'); {WAIT}", ready_file=word)
        )
        await supervisor.stop()
    assert (tmp_path / "talker.log").read_text() == "new\n"
    assert (tmp_path / "talker.log.1").read_text() == "old\n"


async def test_run_gives_the_end_of_the_log_of_what_failed(tmp_path: Path) -> None:
    await run(child(tmp_path, "good", "pass"))
    with pytest.raises(Crashed, match=r"(?s)bad: exit code 1.*broken"):
        await run(child(tmp_path, "bad", "exit('broken')"))
    with pytest.raises(Crashed, match=r"endless: did not end within 0\.2 s"):
        await run(child(tmp_path, "endless", WAIT, deadline=0.2))


SUPERVISED = """
import asyncio, os, sys
from pathlib import Path
from brokers.child import Child
from brokers.supervisor import Supervisor, until_stopped

async def main():
    async with Supervisor(Path("up.json")) as supervisor:
        for name in ("one", "two"):
            code = "import time; time.sleep(600)"
            await supervisor.start(Child(name, [sys.executable, "-c", code], os.environ, Path(name + ".log")))
        print(*supervisor.pids().values(), flush=True)
        await supervisor.watch()

asyncio.run(until_stopped(main()))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_stops_exactly_what_was_started(tmp_path: Path, number: signal.Signals) -> None:
    bystander = await asyncio.create_subprocess_exec(sys.executable, "-c", WAIT)
    process, children = await supervised(tmp_path)
    process.send_signal(number)
    assert await process.wait() == 0
    assert not any(lives(pid) for pid in children)
    assert bystander.returncode is None
    bystander.kill()
    await bystander.wait()


async def test_nothing_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    process, children = await supervised(tmp_path)
    process.kill()
    await process.wait()
    await gone(*children)


async def test_the_next_start_ends_what_was_left_when_the_watchdog_was_killed_too(tmp_path: Path) -> None:
    process, children = await supervised(tmp_path)
    watchdogs = await asyncio.to_thread(children_of, process.pid)
    for pid in set(watchdogs) - set(children):
        os.kill(pid, signal.SIGKILL)
    process.kill()
    await process.wait()
    assert all(lives(pid) for pid in children)
    async with Supervisor(tmp_path / "up.json") as supervisor:
        await supervisor.start(child(tmp_path, "next", WAIT))
        await gone(*children)
        assert list(supervisor.pids()) == ["next"]


async def test_a_pid_that_another_process_has_now_is_left_alone(tmp_path: Path) -> None:
    bystander = await asyncio.create_subprocess_exec(sys.executable, "-c", WAIT, start_new_session=True)
    started = record.Started("old", bystander.pid, record.ticks(bystander.pid) - 1, 1.0)
    record.write(tmp_path / "up.json", [started])
    assert await asyncio.to_thread(record.sweep, tmp_path / "up.json") == []
    assert bystander.returncode is None
    bystander.kill()
    await bystander.wait()


@pytest.mark.parametrize("text", ["", "{", '{"boot": "another", "children": [{"name": "x"}]}', "[]"])
def test_a_record_that_means_nothing_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "up.json").write_text(text)
    assert record.sweep(tmp_path / "up.json") == []


async def supervised(folder: Path) -> tuple[asyncio.subprocess.Process, list[int]]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SUPERVISED, cwd=folder, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    line = await process.stdout.readline()
    return process, [int(pid) for pid in line.split()]


def children_of(pid: int) -> list[int]:
    answer = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=True)  # noqa: S607 - a test
    return [int(line) for line in answer.stdout.split()]

"""`chopar jobs show`, `cancel`, `move`, `decide`, `--scheduled` and `--follow`."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from activity.claims import Claim
from activity.jobs import Job
from activity.outcomes import Retry, Sent, Unknown
from brokers.node import Node
from brokers.rabbitmq import RabbitMQ
from chopar.cli import cli
from rabbit import topology
from rabbit.lifecycle import Change, announce
from store.ledger import Settlement
from store.opening import open_store
from tests.chopar.running import ROOT, chopar, environment

NOW = time.time()
NEW_ID = "5f0c6f0e-3a3c-5d0e-8f5e-0d8b7c0a9b11"


def job(id: str, due: float | None = None, user: str = "u-1") -> Job:
    return Job(
        id=id, rule="welcome", job_class="transactional", user=user, to="anna@example.com", template="welcome",
        event={"id": "e1", "source": "/shop"}, send_at=None if due is None else datetime.fromtimestamp(due, UTC),
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A data folder with two jobs that wait for their time, one that waits for its next attempt, one being sent, one sent."""

    async def fill() -> None:
        async with open_store(f"sqlite:///{tmp_path / 'chopar.db'}") as store:
            ledger = store.ledger("resend")
            jobs = [job("late", NOW + 7200), job("soon", NOW + 3600, "u-2"), job("again"), job("sending"), job("sent")]
            await ledger.claim([Claim(one, 1, "me", NOW + 7200) for one in jobs], NOW)
            await ledger.settle([Settlement(job("again"), 1, "me", NOW, Retry("451 not now"))], NOW)
            await ledger.settle([Settlement(job("sent"), 1, "me", NOW, Sent("250 kept"))], NOW)

    asyncio.run(fill())
    return str(tmp_path)


def document(*arguments: str, code: int = 0, **settings: str) -> Any:
    result = chopar("jobs", *arguments, "--json", settings=settings)
    assert result.returncode == code, result.stderr
    return msgspec.json.decode(result.stdout)


def shown(id: str, folder: str) -> Any:
    return document("show", id, data_dir=folder)["job"]


def test_show_is_the_same_as_an_id(folder: str) -> None:
    assert document("show", "sent", data_dir=folder) == document("sent", data_dir=folder)
    assert shown("late", folder)["due"].startswith(datetime.fromtimestamp(NOW + 7200, UTC).isoformat()[:19])
    assert (shown("again", folder)["due"], shown("again", folder)["repeats"]) == (None, 0)


def test_scheduled_jobs_are_listed_the_next_one_first(folder: str) -> None:
    assert [found["id"] for found in document("--scheduled", data_dir=folder)["jobs"]] == ["soon", "late"]
    assert [found["id"] for found in document("--scheduled", "--after", "soon", data_dir=folder)["jobs"]] == ["late"]
    assert [found["id"] for found in document("--scheduled", "--user", "u-1", data_dir=folder)["jobs"]] == ["late"]
    table = chopar("jobs", "--scheduled", data_dir=folder).stdout
    assert "due (UTC)" in table
    assert table.index("soon") < table.index("late")
    assert "scheduled 2" in table


def test_what_is_unknown_is_decided_once_and_what_is_not_is_refused(tmp_path: Path) -> None:
    async def fill() -> None:
        async with open_store(f"sqlite:///{tmp_path / 'chopar.db'}") as store:
            ledger = store.ledger("hold")
            await ledger.claim([Claim(job("lost"), 1, "me", NOW + 60)], NOW)
            await ledger.settle([Settlement(job("lost"), 1, "me", NOW, Unknown("no answer"))], NOW)

    asyncio.run(fill())
    again = chopar("jobs", "decide", "lost", "--again", "--by", "ann", data_dir=str(tmp_path))
    assert (again.returncode, again.stderr.splitlines()) == (
        1, ["chopar: job lost can't be decided: its event is not in the log, so the mail can't be made again"]
    )  # fmt: skip
    arrived = chopar(
        "jobs", "decide", "lost", "no", "--arrived", "--by", "ann", "--note", "seen", "--json", data_dir=str(tmp_path)
    )
    assert arrived.returncode == 1
    told = msgspec.json.decode(arrived.stdout)["jobs"]
    assert [(one["id"], one["state"], one["problem"]) for one in told] == [
        ("lost", "sent", None), ("no", None, "the ledger has not heard of it"),
    ]  # fmt: skip
    assert "ann says that it arrived: seen" in chopar("jobs", "show", "lost", "--json", data_dir=str(tmp_path)).stdout
    assert "--arrived or --again" in chopar("jobs", "decide", "lost", data_dir=str(tmp_path)).stderr


def test_what_waits_is_cancelled_and_what_does_not_is_refused(folder: str) -> None:
    result = chopar("jobs", "cancel", "late", "again", "sending", "sent", "no-id", NEW_ID, data_dir=folder)
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "cancelled late",
        "cancelled again",
        f"cancelled {NEW_ID} (the ledger has not heard of it: its message will be dropped when it comes)",
    ]
    assert result.stderr.splitlines() == [
        "chopar: job sending can't be cancelled: it is being sent",
        "chopar: job sent can't be cancelled: it has ended: sent",
        "chopar: job no-id can't be cancelled: the ledger has not heard of it, and this is no ID that Chopar gives",
    ]
    assert {id: shown(id, folder)["state"] for id in ("late", "again", "sending", "sent", NEW_ID)} == {
        "late": "cancelled", "again": "cancelled", "sending": "sending", "sent": "sent", NEW_ID: "cancelled",
    }  # fmt: skip
    assert document("cancel", "late", data_dir=folder)["jobs"][0]["state"] == "cancelled", "again, and nothing happens"
    assert document("cancel", "sent", code=1, data_dir=folder)["jobs"][0]["problem"] == "it has ended: sent"


def test_what_waits_is_moved(folder: str) -> None:
    result = chopar("jobs", "move", "late", "2099-12-24T10:00:00+01:00", data_dir=folder)
    assert (result.returncode, result.stdout) == (0, "moved late to 2099-12-24 09:00:00 UTC\n")
    assert shown("late", folder)["due"] == "2099-12-24T09:00:00.000Z"
    (moved,) = document("move", "again", "2h", data_dir=folder)["jobs"]
    assert moved["state"] == "scheduled"
    assert 7100 < datetime.fromisoformat(moved["due"]).timestamp() - time.time() <= 7200
    for id, problem in (
        ("sent", "it has ended: sent"),
        ("sending", "it is being sent"),
        (NEW_ID, "the ledger has not heard of it"),
    ):
        refused = chopar("jobs", "move", id, "1h", data_dir=folder)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr == f"chopar: job {id} can't be moved: {problem}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["move", "late", "tomorrow"],
        ["move", "late", "2099-12-24T10:00:00"],
        ["move", "late", "4000d"],
        ["move", "late"],
        ["cancel"],
        ["show"],
        ["--scheduled", "--state", "sent"],
        ["--scheduled", "late"],
        ["--follow", "--scheduled"],
        ["--follow", "--after", "late"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, ["jobs", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error:" in result.stderr


def test_without_a_store_nothing_is_created(tmp_path: Path) -> None:
    for arguments in (["cancel", NEW_ID], ["move", NEW_ID, "1h"]):
        result = chopar("jobs", *arguments, data_dir=str(tmp_path / "none"))
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith("chopar: CHOPAR_STORE_URL: there is no store")
    assert not (tmp_path / "none").exists()


@contextmanager
def following(*arguments: str, **settings: str) -> Iterator[tuple["Queue[str]", "Queue[str]"]]:
    """`chopar jobs --follow`: its lines on stdout and on stderr, as they come."""
    command = [sys.executable, "-m", "chopar", "jobs", "--follow", *arguments]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(**settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    lines: tuple[Queue[str], Queue[str]] = (Queue(), Queue())

    def pump(stream: Any, into: "Queue[str]") -> None:
        for line in stream:
            into.put(line.rstrip("\n"))

    pumps = [Thread(target=pump, args=pair) for pair in zip((process.stdout, process.stderr), lines, strict=True)]
    for thread in pumps:
        thread.start()
    try:
        yield lines
    finally:
        process.kill()
        process.wait()
        for thread, stream in zip(pumps, (process.stdout, process.stderr), strict=True):
            thread.join()
            assert stream is not None
            stream.close()


def told(url: str, lines: "Queue[str]", change: Change) -> str:
    """Tells of it until the follower says a line: it may just be about to listen."""
    deadline = time.monotonic() + 60
    while lines.empty() and time.monotonic() < deadline:
        asyncio.run(announce(url, [change]))
        time.sleep(0.2)
    return lines.get(timeout=1)


def test_changes_are_followed_and_a_restart_of_rabbitmq_is_survived(private_rabbitmq: Node[RabbitMQ], folder: str) -> None:
    url = private_rabbitmq.url
    asyncio.run(topology.declare(url))
    with following("--json", data_dir=folder, rabbit_url=url) as (lines, remarks):
        first = Change("warm-up", "welcome", "u-1", "sent", 1, NOW)
        assert msgspec.json.decode(told(url, lines, first))["job"] == "warm-up"
        settings = {"data_dir": folder, "rabbit_url": url}
        assert chopar("jobs", "move", "soon", "2099-12-24T09:00:00Z", settings=settings).returncode == 0
        assert chopar("jobs", "cancel", "late", settings=settings).returncode == 0
        heard: list[Any] = []
        while not heard or heard[-1]["job"] != "late":
            heard.append(msgspec.json.decode(lines.get(timeout=60)))
        moved, cancelled = heard[-2:]
        assert (moved["job"], moved["state"], moved["due"]) == ("soon", "scheduled", "2099-12-24T09:00:00.000Z")
        assert (cancelled["state"], cancelled["rule"], cancelled["user"], cancelled["due"]) == (
            "cancelled",
            "welcome",
            "u-1",
            None,
        )
        asyncio.run(private_rabbitmq.kill())
        assert "RabbitMQ is away" in remarks.get(timeout=60)
        asyncio.run(private_rabbitmq.start())
        assert "RabbitMQ is back" in remarks.get(timeout=60)
        after = msgspec.json.decode(told(url, lines, Change("after", "welcome", "u-1", "dead", 2, NOW, "refused")))
        assert (after["job"], after["state"], after["reason"]) == ("after", "dead", "refused")


def test_only_what_is_wanted_is_told_and_as_a_line_for_people(rabbit_url: str, tmp_path: Path) -> None:
    asyncio.run(topology.declare(rabbit_url))
    with following("--state", "dead", "--user", "u-7", data_dir=str(tmp_path), rabbit_url=rabbit_url) as (lines, _):
        asyncio.run(announce(rabbit_url, [Change("other", "welcome", "u-8", "dead", 1, NOW)]))
        line = told(rabbit_url, lines, Change("mine", "welcome", "u-7", "dead", 3, 1_772_000_000.0, "bad\x1b[2J"))
        assert line == r"2026-02-25 06:13:20  dead       mine  welcome  u-7  attempt 3  bad\x1b[2J"
        assert all(other == line for other in lines.queue)


def test_who_can_not_listen_says_so(tmp_path: Path) -> None:
    result = chopar("jobs", "--follow", data_dir=str(tmp_path))
    assert (result.returncode, result.stdout) == (1, "")
    assert "CHOPAR_RABBIT_URL: is not set" in result.stderr
    result = chopar("jobs", "--follow", data_dir=str(tmp_path), rabbit_url="amqp://guest:secret@127.0.0.1:1/")
    assert result.returncode == 1
    assert "CHOPAR_RABBIT_URL: no answer from 127.0.0.1:1" in result.stderr
    assert "secret" not in result.stderr

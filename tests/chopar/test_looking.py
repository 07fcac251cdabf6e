"""`chopar log`, `jobs` and `doctor`: what they show of a store and of real brokers."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from activity.claims import Claim
from activity.dead import DeadLetter
from activity.events import log_value
from activity.hand import COMPILED
from activity.jobs import Job
from activity.outcomes import Dead, Retry, Sent
from rabbit.topology import declare
from store.ledger import Settlement
from store.log import Entry
from store.opening import open_store
from tests.chopar.running import ROOT, chopar, event

CLOCK = 1_772_000_000.0


def entry(position: int, *, type: str = "page.viewed", data: Any = None) -> Entry:
    raw = event("u-1", position, type=type, data=data)
    return Entry(
        user_id="u-1", position=position, source="https://shop.example/web", event_id=f"e{position}", type=type, time=None,
        received="2026-03-02T08:00:00.000Z", sequence=str(position), verdict="logged",
        event=log_value(raw, position, "logged", CLOCK), kafka_partition=1, kafka_offset=position,
    )  # fmt: skip


def job(id: str, user: str = "u-1") -> Job:
    return Job(
        id=id, rule="welcome", job_class="transactional", user=user, to="anna@example.com", template="welcome",
        event={"id": "e1", "source": "https://shop.example/web"},
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with five events and three jobs: one sent at the second try, one dead, one of another user."""

    async def fill() -> None:
        async with open_store(f"sqlite:///{tmp_path / 'chopar.db'}") as store:
            hostile = {"path": "\x1b[2J\u202e", "[red]": 1}
            await store.log.append([entry(1, type="user.signed_up"), *map(entry, (2, 3, 4)), entry(5, data=hostile)])
            ledger = store.ledger("resend")
            await ledger.claim([Claim(job("j-1"), 1, "me", CLOCK + 60)], CLOCK)
            await ledger.settle([Settlement(job("j-1"), 1, "me", CLOCK, Retry("451 not now"))], CLOCK + 1)
            await ledger.claim([Claim(job("j-1"), 2, "me", CLOCK + 60)], CLOCK + 2)
            await ledger.settle([Settlement(job("j-1"), 2, "me", CLOCK + 2, Sent("250 kept"))], CLOCK + 3)
            await ledger.settle([Settlement(job("j-2"), 1, "me", CLOCK, Dead("refused", "550 no"))], CLOCK + 4)
            await ledger.settle([Settlement(job("j-3", "u-2"), 1, "me", CLOCK, Sent("250 kept"))], CLOCK + 5)

    _run(fill())
    return tmp_path


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def document(*arguments: str, **settings: str) -> Any:
    result = chopar(*arguments, "--json", settings=settings)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("\n") == 1
    return msgspec.json.decode(result.stdout)


def test_the_timeline_says_why_there_is_a_mail_and_why_not(folder: Path) -> None:
    """Without a worker all is said but what waits."""
    settings = {"data_dir": str(folder), "rules": str(ROOT / "rules.toml"), "templates": str(ROOT / "templates"), "web_port": "1"}
    found = document("timeline", "u-1", "--limit", "5", **settings)
    assert [event["position"] for event in found["entries"]] == [5, 4, 3, 2, 1]
    assert (found["waiting"], [problem.split(" (")[0] for problem in found["problems"]]) == (
        None,
        ["what waits for u-1 can't be told now: no worker at http://127.0.0.1:1"],
    )
    result = chopar("timeline", "u-1", settings=settings)
    assert result.returncode == 0, result.stderr
    assert "welcome: no mail; it is for events of type user.signed_up, this one is page.viewed" in result.stdout
    assert "welcome to anna@example.com: given up after attempt 1 (refused): 550 no" in result.stdout
    assert "attempt 1  2026-02-25 06:13:20  dead  550 no" in result.stdout
    assert "\x1b" not in result.stdout


def test_the_timeline_has_what_was_refused_page_by_page(folder: Path) -> None:
    settings = {"data_dir": str(folder), "rules": str(ROOT / "rules.toml"), "templates": str(ROOT / "templates"), "web_port": "1"}
    refused = DeadLetter(
        id="l-1", broker="kafka", origin="activity.events", reason="not-json", problem="\x1b[2J", user="u-1", first_seen=CLOCK - 1
    )
    dead = replace(refused, id="l-2", origin="email.transactional", job="j-2", first_seen=CLOCK + 1e8)

    async def fill() -> None:
        async with open_store(f"sqlite:///{folder / 'chopar.db'}") as store:
            await store.letters.take([refused, dead])
            assert await store.letters.discard("l-1", "ann", "a test of ours", CLOCK + 9) is None

    _run(fill())
    first = document("timeline", "u-1", "--limit", "3", **settings)
    rest = document("timeline", "u-1", "--cursor", first["next"], **settings)
    found = [one.get("position") or one["id"] for one in (*first["entries"], *rest["entries"])]
    assert (found, rest["next"]) == (["l-2", 5, 4, 3, 2, 1, "l-1"], None)
    result = chopar("timeline", "u-1", settings=settings)
    assert "a mail was given up; it waits at the desk for a person" in result.stdout
    assert "an event was refused and is not in the log; discarded by ann" in result.stdout
    assert "discarded by ann  a test of ours" in result.stdout
    assert "job j-2  letter l-2" in result.stdout
    assert "\x1b" not in result.stdout
    wrong = chopar("timeline", "u-1", "--cursor", "7", settings=settings)
    assert (wrong.returncode, "--cursor: this is no cursor" in wrong.stderr) == (1, True)


def test_the_log_is_given_page_by_page_newest_first(folder: Path) -> None:
    data_dir = str(folder)
    first = document("log", "u-1", "--limit", "2", data_dir=data_dir)
    assert (first["user"], [found["position"] for found in first["events"]], first["before"]) == ("u-1", [5, 4], 4)
    rest = document("log", "u-1", "--before", "4", data_dir=data_dir)
    assert ([found["position"] for found in rest["events"]], rest["before"]) == ([3, 2, 1], None)
    typed = document("log", "u-1", "--type", "user.signed_up", data_dir=data_dir)["events"]
    assert [(found["position"], found["event"]["subject"], found["event"]["position"]) for found in typed] == [(1, "u-1", 1)]
    assert document("log", "nobody", data_dir=data_dir)["events"] == []


def test_an_event_can_not_write_to_the_terminal_that_shows_it(folder: Path) -> None:
    result = chopar("log", "u-1", data_dir=str(folder))
    assert result.returncode == 0, result.stderr
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert r"\x1b[2J\u202e" in result.stdout
    assert "[red]: 1" in result.stdout
    assert "\x1b" not in chopar("log", "\x1b[2Jnobody", data_dir=str(folder)).stderr


def test_jobs_are_chosen_by_state_and_user(folder: Path) -> None:
    data_dir = str(folder)
    everything = document("jobs", data_dir=data_dir)
    assert {(found["id"], found["state"], found["attempt"]) for found in everything["jobs"]} == {
        ("j-1", "sent", 2), ("j-2", "dead", 1), ("j-3", "sent", 1),
    }  # fmt: skip
    assert (everything["counts"]["sent"], everything["counts"]["dead"], everything["queues"]) == (2, 1, None)
    assert [found["id"] for found in document("jobs", "--state", "dead", data_dir=data_dir)["jobs"]] == ["j-2"]
    assert [found["id"] for found in document("jobs", "--user", "u-2", data_dir=data_dir)["jobs"]] == ["j-3"]


def test_a_job_shows_its_attempts(folder: Path) -> None:
    found = document("jobs", "j-1", data_dir=str(folder))
    assert (found["job"]["to"], found["job"]["state"]) == ("anna@example.com", "sent")
    assert [(row["number"], row["outcome"]["type"]) for row in found["attempts"]] == [(1, "retry"), (2, "sent")]
    shown = chopar("jobs", "j-1", data_dir=str(folder)).stdout
    assert "451 not now" in shown
    assert "250 kept" in shown
    missing = chopar("jobs", "j-9", data_dir=str(folder))
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.startswith("chopar: there is no job j-9")


def test_jobs_show_how_much_waits_on_rabbitmq(folder: Path, rabbit_url: str) -> None:
    _run(declare(rabbit_url))
    queues = document("jobs", data_dir=str(folder), rabbit_url=rabbit_url)["queues"]
    assert queues.keys() == {"email.transactional", "email.bulk", "email.dead", "chopar.retry"}
    assert "email.transactional" in chopar("jobs", data_dir=str(folder), rabbit_url=rabbit_url).stdout


def test_jobs_are_shown_without_rabbitmq(folder: Path) -> None:
    result = chopar("jobs", data_dir=str(folder), rabbit_url="amqp://guest:secret@127.0.0.1:1/")
    assert result.returncode == 0
    assert "j-1" in result.stdout
    assert "RabbitMQ does not answer" in result.stdout
    assert "secret" not in result.stdout + result.stderr


def test_the_doctor_finds_what_is_right_and_what_is_not(folder: Path, kafka_url: str, rabbit_url: str) -> None:
    _run(declare(rabbit_url))
    settings = {"data_dir": str(folder), "kafka_url": kafka_url, "rabbit_url": rabbit_url, "smtp_url": "smtp://127.0.0.1:1"}
    assert chopar("topics", settings=settings).returncode == 0
    result = chopar("doctor", "--json", settings=settings, web_port="7311", templates="/nonexistent")
    checks = {check["name"]: check for check in msgspec.json.decode(result.stdout)["checks"]}
    wrong = {name for name, check in checks.items() if not check["ok"] and check["needed"]}
    assert wrong == {"mail server", "rules and templates"}
    assert result.returncode == 1
    assert "127.0.0.1:1" in checks["mail server"]["found"]
    assert "/nonexistent" in checks["rules and templates"]["found"]
    assert checks["compiled core"]["ok"] == (COMPILED is not None)
    assert "guest:guest" not in result.stdout


def test_the_doctor_says_what_to_do_where_nothing_runs(tmp_path: Path) -> None:
    result = chopar("doctor", "--json", data_dir=str(tmp_path), core="python")
    document = msgspec.json.decode(result.stdout)
    checks = {check["name"]: check["found"] for check in document["checks"]}
    assert (result.returncode, document["ok"]) == (1, False)
    assert all("chopar up" in checks[name] for name in ("kafka", "rabbitmq", "store", "mail server"))
    assert "CHOPAR_CORE" in checks["compiled core"]
    assert list(tmp_path.iterdir()) == []
    broken = chopar("doctor", "--json", data_dir=str(tmp_path), partitions="none")
    assert msgspec.json.decode(broken.stdout)["checks"][0]["ok"] is False

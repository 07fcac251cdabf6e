"""What `make bench-jobs` takes for whole, and what it makes of the figures."""

import sqlite3
from pathlib import Path
from typing import Any, cast

import pytest

from benchmarks.jobs.checks import complete, ledger_problems, mail_problems, marks, rate
from benchmarks.jobs.queues import NUMBER
from benchmarks.jobs.report import Results, against, markdown, targets
from benchmarks.jobs.runs import Kind, Run
from benchmarks.jobs.sink import SEPARATOR, Session
from benchmarks.jobs.worker import job
from benchmarks.peers.jobs.work import RECORD, Marks, Renderer, number_of, order
from rabbit.address import Address
from rabbit.letters import first_letter
from rabbit.message import Skeleton
from rabbit.templates import Rendered, Templates


def ours(number: int) -> bytes:
    """The mail as Chopar makes it."""
    rendered = Templates(Path("templates")).render(job(number))
    assert isinstance(rendered, Rendered)
    to = Address("joerg@example.com", "")
    content = Skeleton(Address("mail@shop.example", "Shop")).fill(job(number).id, to, rendered, 0.0)
    assert isinstance(content, bytes)
    return content


def theirs(number: int) -> bytes:
    """As the peers' users do."""
    return Renderer().mail(order(number)).as_bytes()


def test_marks_are_read_as_they_were_noted(tmp_path: Path) -> None:
    noted = Marks(str(tmp_path))
    for number in (3, 1, 2):
        noted.note(number)
    with (tmp_path / "done").open("ab") as file:
        file.write(RECORD.pack(9, 9.0)[:-1])  # half of one that is just being written
    found = marks(tmp_path / "done")
    assert [number for number, _ in found] == [3, 1, 2]
    assert marks(tmp_path / "nothing") == []
    assert rate([(1, 10.0), (0, 10.5), (2, 11.0)]) == 2.0
    assert rate(found[:1]) == 0.0


def test_a_lost_a_repeated_and_a_strange_job_are_found() -> None:
    assert complete([2, 0, 1], 3, "done") == []
    assert complete([0, 1, 1, 7], 3, "done") == [
        "done: 1 missing, as [2]",
        "done: 1 more than once, as [1]",
        "done: 1 strange, as [7]",
    ]


def test_a_job_on_a_queue_tells_its_number() -> None:
    found = NUMBER.search(first_letter(job(17)).body)
    assert found is not None
    assert int(found[1]) == 17
    assert number_of(order(17)) == 17


@pytest.mark.parametrize("made", [ours, theirs])
def test_the_sink_takes_the_mails_of_every_side_whole(made: Any, tmp_path: Path) -> None:
    sent = b"EHLO x\r\n" + b"".join(
        b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n" + made(n).rstrip() + b"\r\n.\r\n" for n in range(3)
    )
    with (tmp_path / "mails").open("wb") as file:
        session, replies = Session(file, Marks(str(tmp_path))), Transport()
        session.connection_made(cast("Any", replies))
        for at in range(0, len(sent), 7):
            session.data_received(sent[at : at + 7])
    assert [line[:3] for line in replies.written.split(b"\r\n") if line][-12:] == [b"250", b"250", b"354", b"250"] * 3
    assert [number for number, _ in marks(tmp_path / "done")] == [0, 1, 2]
    assert mail_problems(tmp_path / "mails", 3) == []
    assert mail_problems(tmp_path / "mails", 4) == ["the sink has 3 of 4 mails"]


def test_a_mail_that_lacks_something_is_found(tmp_path: Path) -> None:
    for old, new in ((b"Rose", b"Nose"), (b"Message-ID", b"Massage-ID"), (b"9.00", b"8.00")):
        (tmp_path / "mails").write_bytes(ours(1).replace(old, new) + SEPARATOR)
        assert len(mail_problems(tmp_path / "mails", 1)) == 1


def test_a_ledger_that_lacks_an_outcome_is_found(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    assert ledger_problems(file, 1) == ["there is no ledger"]
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE job (state)")
        database.execute("CREATE TABLE attempt (outcome)")
        database.execute("INSERT INTO job VALUES ('sent'), ('sending')")
        database.execute("INSERT INTO attempt VALUES ('sent')")
    assert len(ledger_problems(file, 2)) == 2


class Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        """As a transport does."""
        self.written += data


def run(side: str, number: int, kind: Kind, rate: float, *, checked: bool = True, p99: float | None = None) -> Run:
    return Run(
        side=side,
        round=number,
        kind=kind,
        jobs=10,
        jobs_per_second=rate,
        cpu_us=1.0,
        peak_mb=2.0,
        checked=checked,
        p50=p99,
        p99=p99,
    )


def test_we_are_compared_with_the_best_of_each_round_that_was_checked() -> None:
    runs = [
        run("chopar", 1, "publish", 30.0),
        run("Celery", 1, "publish", 10.0),
        run("Taskiq", 1, "publish", 20.0),
        run("chopar", 2, "publish", 30.0),
        run("Celery", 2, "publish", 10.0),
        run("Taskiq", 2, "publish", 99.0, checked=False),
        run("chopar", 3, "publish", 30.0, checked=False),
        run("Celery", 3, "publish", 10.0),
    ]
    found = against(runs, "publish", ["Celery", "Taskiq"])
    assert found is not None
    assert (found.least, found.greatest) == (1.5, 3.0)
    assert against(runs, "mail", ["Celery"]) is None


def test_the_report_says_what_is_missed() -> None:
    results = Results()
    results.add(
        [
            run("chopar", 1, "consume", 10.0),
            run("aio-pika", 1, "consume", 20.0),
            run("chopar", 1, "latency", 200.0, p99=3.0),
            run("aio-pika", 1, "latency", 200.0, p99=2.0),
        ]
    )
    by = {one.what: one for one in targets(results)}
    assert not by["consume with the ledger, ÷ aio-pika without"].met
    assert by["latency p99, ÷ aio-pika's"].met
    assert any("| no |" in line for line in markdown(results))

"""An outage is told once when it begins and once when it ends."""

import pytest

from rabbit.outage import Outage


def test_two_watchers_make_two_lines(caplog: pytest.LogCaptureFixture) -> None:
    clock = iter((100.0, 107.5))
    outage = Outage("RabbitMQ", lambda: next(clock))
    for watcher in ("publisher", "source", "publisher"):
        outage.begin(watcher, "refused")
    seen = [outage.lasting]
    for watcher in ("publisher", "source", "source"):
        outage.end(watcher)
        seen.append(outage.lasting)
    assert seen == [True, True, False, False]
    assert [record.message for record in caplog.records] == [
        "RabbitMQ is away (refused); the work waits and goes on by itself",
        "RabbitMQ is back after 7.5 s",
    ]


def test_the_next_one_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage("the store")
    for _ in range(2):
        outage.begin("committer", "x")
        outage.end("committer")
    assert len(caplog.records) == 4


def test_one_that_never_began_does_not_end(caplog: pytest.LogCaptureFixture) -> None:
    Outage("the store").end("committer")
    assert not caplog.records

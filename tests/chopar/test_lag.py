"""`chopar lag`: what it makes of two looks."""

from math import inf
from typing import Any

import pytest

from activity.pace import Look, duration
from chopar.lag import document, shown
from chopar.terminal import out
from streams.groups import Group, Member
from streams.lag import reader

WORKER = Member("chopar-host-7", "10.0.0.7", frozenset({("activity.events", 0)}))
BEFORE = {0: Look(10.0, 100, 0, 1000), 1: Look(10.0, None, 5, 8)}
AFTER = {0: Look(12.0, 300, 0, 1100), 1: Look(12.0, None, 5, 8)}


def read(*members: Member, state: str = "Stable", before: Any = BEFORE, after: Any = AFTER) -> Any:
    return reader("sequencer", Group("chopar", state, list(members)), "activity.events", before, after)


def shown_text(found: Any) -> str:
    console = out()
    with console.capture() as capture:
        console.print(shown([found]))
    return capture.get()


def test_each_partition_has_its_figures_and_its_owner() -> None:
    found = document(read(WORKER))
    assert {name: found[name] for name in ("agent", "group", "members", "lag", "rate", "arrival", "catch_up")} == {
        "agent": "sequencer", "group": "chopar", "members": 1, "lag": 803, "rate": 100.0, "arrival": 50.0, "catch_up": None,
    }  # fmt: skip
    assert found["partitions"] == [
        {
            "partition": 0, "position": 300, "end": 1100, "lag": 800, "expired": 0, "rate": 100.0, "arrival": 50.0,
            "catch_up": 16.0, "owner": "chopar-host-7 10.0.0.7",
        },
        {
            "partition": 1, "position": None, "end": 8, "lag": 3, "expired": 0, "rate": 0.0, "arrival": 0.0, "catch_up": None,
            "owner": None,
        },
    ]  # fmt: skip


def test_people_are_told_who_reads_and_when_it_is_done() -> None:
    text = shown_text(read(WORKER))
    assert "16 s" in text
    assert "nobody" in text
    assert "lag 803, reads 100/s, 50/s come, 1 worker, Stable, never caught up at this rate" in text


def test_a_group_without_members_says_so() -> None:
    assert "no worker runs" in shown_text(read(state="Empty"))
    assert "no worker has joined (PreparingRebalance)" in shown_text(read(state="PreparingRebalance"))


def test_what_was_deleted_unread_is_told() -> None:
    looks = {0: Look(10.0, 1, 50, 60)}
    assert "49 records were deleted by Kafka before they were read" in shown_text(read(WORKER, before=looks, after=looks))


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.2, "1 s"), (1.0, "1 s"), (59.2, "1 min 0 s"), (59.0, "59 s"), (119.9, "2 min 0 s"), (3600, "1 h 0 min"),
        (7325, "2 h 2 min"), (90_000, "1 d 1 h"), (inf, "never"),
    ],
)  # fmt: skip
def test_a_time_span_for_people(seconds: float, told: str) -> None:
    assert duration(seconds) == told

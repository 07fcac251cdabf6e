"""The checker finds what is planted; the traffic and the plan are a seed's alone."""

from itertools import islice
from typing import Any

import msgspec
import pytest
from aiokafka.partitioner import murmur2

from tests.chaos import checker, evidence
from tests.chaos.checker import check
from tests.chaos.evidence import Evidence, Row, Seen
from tests.chaos.independence import imported
from tests.chaos.storm import MIXES, plan
from tests.chaos.traffic import Traffic

PARTITIONS = 4
USER = "u-1"
HOME = (murmur2(USER.encode()) & 0x7FFFFFFF) % PARTITIONS
ORIGIN = "__streams.errors."


def event(number: int, **more: Any) -> dict[str, Any]:
    kind = "user.signed_up" if number == 1 else "page.viewed"
    return {
        "specversion": "1.0", "id": str(number), "source": "/web", "type": kind, "subject": USER, "sequence": str(number), **more,
    }  # fmt: skip


def logged(number: int, position: int, verdict: str = "logged", second: int = 0, **more: Any) -> dict[str, Any]:
    return event(number, position=position, verdict=verdict, received=f"2026-01-31T09:30:{second:02d}.000Z", **more)


def seen(offset: int, found: dict[str, Any] | bytes, key: bytes | None = USER.encode(), **more: Any) -> Seen:
    value = found if isinstance(found, bytes) else msgspec.json.encode(found)
    return Seen(more.get("partition", HOME), offset, 0.0, key, value, more.get("headers", {}))


def row(offset: int, found: dict[str, Any]) -> Row:
    value = msgspec.json.encode(found)
    return Row(USER, found["position"], found["source"], found["id"], found["verdict"], value, HOME, offset, None)


def job(number: int, id: str = "j-1") -> dict[str, Any]:
    return {"id": id, "user": USER, "rule": "welcome", "event": {"source": "/web", "id": str(number)}}


def right() -> Evidence:
    """Three events, the second twice, junk, a tick, one that lay wrong and was moved; a crash has repeated position 2."""
    elsewhere = (HOME + 1) % PARTITIONS
    moved = f"activity.events/{elsewhere}/0".encode()
    log = [logged(number, number) for number in (1, 2, 3)]
    return Evidence(
        events=[
            seen(0, event(1)),
            seen(1, event(2)),
            seen(2, event(2)),
            seen(3, b"junk"),
            seen(4, b"{}", None, headers={"chopar-kind": b"tick"}),
            seen(0, event(3), partition=elsewhere),
            seen(5, event(3), headers={"chopar-moved": moved}),
        ],
        log=[seen(0, log[0]), seen(1, log[1]), seen(2, log[1]), seen(3, log[2])],
        dead=[dead(3, b"junk", b"not-json")],
        rows=[row(0, log[0]), row(2, log[1]), row(3, log[2])],
        jobs=[job(1), job(1)],
    )


def dead(offset: int, value: bytes, reason: bytes) -> Seen:
    place = {f"{ORIGIN}topic": b"activity.events", f"{ORIGIN}partition": str(HOME).encode(), f"{ORIGIN}offset": b"%d" % offset}
    return seen(0, value, headers={"chopar-reason": reason, **place})


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    findings = check(right(), PARTITIONS, gap_timeout=2.0)
    assert findings.broken == {}
    assert findings.counts == {
        "logged": 3, "repeated": 1, "events": 4, "duplicate": 1, "junk": 1, "moved": 1, "ticks": 1, "stored": 3,
        "jobs": 1, "jobs repeated": 1,
    }  # fmt: skip


def changed(**changes: Any) -> Evidence:
    return right()._replace(**changes)


LOG = right().log
EVENTS = right().events
ROWS = right().rows


@pytest.mark.parametrize(
    ("planted", "promise", "says"),
    [
        (changed(log=LOG[:-1], rows=ROWS[:-1]), "lost", "('u-1', '/web', '3') is nowhere"),
        (changed(rows=ROWS[:-1]), "lost", "u-1 position 3 is not in the store"),
        (changed(dead=[]), "lost", "no event, and not among the dead"),
        (changed(events=EVENTS[:-1], log=LOG[:-1], rows=ROWS[:-1]), "lost", "on the wrong partition, and not moved"),
        (changed(dead=[*right().dead, dead(1, b"", b"too-old")]), "lost", "refused as b'too-old' without cause"),
        (changed(dead=[*right().dead, dead(9, b"", b"conflict")]), "lost", "never was on activity.events"),
        (changed(jobs=[]), "lost", "no job for ('u-1', '/web', '1', 'welcome')"),
        (changed(jobs=[job(1), job(1, "j-2")]), "once", "job j-2"),
        (changed(jobs=[job(1), job(2)]), "once", "should not be"),
        (changed(log=[LOG[0], LOG[1], LOG[3]]), "store", "said to come from"),
        (changed(log=[LOG[0], LOG[3]]), "holes", "position 3: after 1"),
        (changed(log=[*LOG, seen(4, logged(9, 2))]), "once", "where {"),
        (changed(log=[*LOG, seen(4, logged(1, 4))]), "once", "stands twice"),
        (changed(log=[*LOG, seen(4, logged(9, 4))]), "once", "was never sent"),
        (changed(log=[seen(0, logged(2, 1)), seen(1, logged(1, 2)), seen(2, logged(3, 3))]), "order", "sequence 1 after 2"),
        (changed(log=[LOG[0], seen(1, logged(3, 2)), seen(2, logged(2, 3, "late", 1))]), "order", "its gap was not over"),
        (changed(log=[*LOG[:3], seen(3, logged(3, 3), b"u-2")]), "order", "under another key"),
        (changed(rows=[*ROWS, row(9, logged(4, 4))]), "store", "not on activity.log"),
        (changed(rows=[*ROWS[:2], row(3, logged(3, 3, "late"))]), "store", "should be"),
    ],
)
def test_what_is_planted_is_found(planted: Evidence, promise: str, says: str) -> None:
    broken = check(planted, PARTITIONS, gap_timeout=2.0).broken
    assert any(says in line for line in broken[promise]), broken


def test_a_gap_that_was_over_is_given_up_rightly() -> None:
    log = [logged(1, 1), logged(3, 2), logged(2, 3, "late", 2)]
    given = changed(log=[seen(at, found) for at, found in enumerate(log)], rows=[row(at, found) for at, found in enumerate(log)])
    assert check(given, PARTITIONS, gap_timeout=2.0).broken == {}


def test_the_checker_has_rules_of_its_own() -> None:
    assert imported(checker, evidence) == {"activity.events.LogRecord"}


def test_a_seed_makes_the_same_run_again() -> None:
    def traffic(seed: int) -> list[Any]:
        return list(islice(iter(Traffic(seed, users=20, partitions=8, late=100)), 2000))

    assert traffic(1) == traffic(1) != traffic(2)
    targets = ["a", "b", "c"]
    assert plan(1, MIXES["all"], targets) == plan(1, MIXES["all"], targets) != plan(2, MIXES["all"], targets)
    assert sum(blow.kind == "kill" for blow in plan(1, MIXES["all"], targets)) == MIXES["all"]["kill"] == 20

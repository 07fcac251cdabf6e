"""What `Hand.take` decides at a glance is what a second look decides, event by event.

A record that is alone in its chunk is never taken at a glance by `Hand`: its user's state is not in hand yet.
"""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from activity import names
from activity.chunk import Chunk
from activity.hand import Hand
from activity.sequencing import Pair, sequence
from tests.activity.cores import CORES
from tests.activity.examples import Record, value
from tests.activity.partitions import Table, owner, tick

USERS = st.sampled_from(["u-1", "u-2"])
OTHER = {"key": "u-1", "subject": "u-2", "source": "/web", "sequence": 2, "id": "e-2", "type": "a"}
FIRST = {**OTHER, "subject": "u-1", "sequence": 1, "id": "e-1"}


@st.composite
def described(draw: st.DrawFn) -> dict[str, object]:
    """A record in a few words; most follow on, some are wrong in some way."""
    key, number = draw(USERS), draw(st.none() | st.integers(1, 5))
    return {
        "key": key,
        "subject": key if draw(st.integers(0, 4)) else draw(USERS),
        "source": draw(st.sampled_from(["/web", "/web", "/app"])),
        "sequence": number,
        "id": f"e-{number}" if draw(st.integers(0, 4)) else "other",
        "type": draw(st.sampled_from(["a", "a", "a", "b\x07"])),
    }


def written(words: dict[str, object], at: int) -> Record:
    attributes = {name: word for name, word in words.items() if name not in ("key", "sequence")}
    number = words["sequence"]
    raw = value(**attributes, sequence=None if number is None else str(number))
    return Record(str(words["key"]).encode(), raw, at, 1_000 * (at // 2))


def decided(
    records: list[Record], size: int, core: type[Hand]
) -> tuple[list[tuple[bytes, bytes]], list[Pair], dict[str, int], Table]:
    """All that `records` lead to, `size` of them a chunk."""
    table, log, dead, counts = Table(), list[tuple[bytes, bytes]](), list[Pair](), dict[str, int]()
    for at in range(0, len(records), size):
        step = sequence(Chunk(names.EVENTS, 0, records[at : at + size]), table, owner, core)
        table = Table(table | step.states)
        log += step.log
        dead += step.dead
        for what, count in step.counts.items():
            counts[what] = counts.get(what, 0) + count
    return log, dead, counts, table


@pytest.mark.parametrize("core", CORES)
@given(words=st.lists(described(), max_size=12), size=st.integers(2, 12), ticked=st.integers(0, 12))
@example(words=[FIRST, OTHER], size=2, ticked=12)
@example(words=[FIRST, {**FIRST, "source": "/app", "sequence": 2}], size=2, ticked=12)
@example(words=[FIRST, {**FIRST, "sequence": 2, "id": "e-2"}, {**FIRST, "sequence": 3, "id": "e-3"}], size=3, ticked=12)
@example(words=[FIRST, {**FIRST, "sequence": 2, "id": "e-2"}, {**FIRST, "sequence": 2, "id": "e-2"}], size=3, ticked=12)
def test_it_is_what_a_second_look_decides(core: type[Hand], words: list[dict[str, object]], size: int, ticked: int) -> None:
    records: list[Record] = [written(one, at) for at, one in enumerate(words)]
    records[ticked:ticked] = [tick(len(records), 3_000)] if ticked < len(records) else []
    records = [Record(one.key, one.value, at, one.timestamp, one.headers) for at, one in enumerate(records)]
    log, dead, counts, table = decided(records, size, core)
    one_by_one = decided(records, 1, Hand)
    assert sorted(log) == sorted(one_by_one[0])
    for user in (b"u-1", b"u-2"):
        assert [raw for key, raw in log if key == user] == [raw for key, raw in one_by_one[0] if key == user]
    assert (dead, counts, table) == one_by_one[1:]

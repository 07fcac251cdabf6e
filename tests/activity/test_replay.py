"""However chunks are cut, and whatever is read again after a crash, the log stays the same."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from activity import order
from activity.events import decode_log
from activity.sequencing import Step
from tests.activity.examples import Record, value
from tests.activity.partitions import Table, record, tick, work

ENDS = ("logged", "late", "duplicate", "dead", "waiting", "moved", "repeated", "tick")


@st.composite
def streams(draw: st.DrawFn) -> list[Record]:
    """Records of one partition: events of three users in any order, with repeats, gaps and conflicts, poison, and ticks,
    some of which name quiet users."""
    records, now = [], 0
    for offset in range(draw(st.integers(1, 40))):
        now += draw(st.sampled_from([0, 1, 700, 2000, 6000, -3000]))  # a broker's clock may be set back
        user = draw(st.sampled_from(["u-1", "u-2", "u-3"]))
        match draw(
            st.sampled_from(
                ["event"] * 6 + ["unordered", "conflict", "poison", "elsewhere", "no key", "tick", "tick", "quiet", "quiet"]
            )
        ):
            case "event":
                records.append(record(draw(st.integers(1, 6)), user, offset, now))
            case "unordered":
                raw = value(id=draw(st.sampled_from("abc")), subject=user)
                records.append(Record(user.encode(), raw, offset, now))
            case "conflict":
                raw = value(id="other", subject=user, sequence=str(draw(st.integers(1, 6))))
                records.append(Record(user.encode(), raw, offset, now))
            case "poison":
                records.append(Record(user.encode(), draw(st.sampled_from([None, b"{", b"\xff"])), offset, now))
            case "elsewhere":
                records.append(record(1, "elsewhere", offset, now))
            case "no key":
                records.append(Record(None, value(subject=user), offset, now))
            case "quiet":
                named = draw(st.lists(st.sampled_from([b"u-1", b"u-2", b"u-3", b"nobody"]), max_size=4))
                records.append(tick(offset, now, quiet_after=draw(st.sampled_from([0.0, 1.0, 4.0])), quiet=named))
            case _:
                records.append(tick(offset, now))
    return records


def cut(records: Sequence[Record], sizes: Iterable[int]) -> list[list[Record]]:
    chunks, start = [], 0
    for size in sizes:
        chunks.append(list(records[start : start + size]))
        start += size
    return [part for part in [*chunks, list(records[start:])] if part]


class Logs:
    """The log of each user by position; a position that gets another record is an error."""

    def __init__(self) -> None:
        self.of_user: dict[bytes, dict[int, bytes]] = defaultdict(dict)

    def add(self, step: Step) -> None:
        for user, raw in step.log:
            position = decode_log(raw).position
            assert position <= len(self.of_user[user]) + 1, "no hole, not even for a moment"
            assert self.of_user[user].setdefault(position, raw) == raw, "one record for a position, whoever writes it"


def once(records: Sequence[Record]) -> tuple[Logs, Table]:
    """The logs of the records taken one by one, and the states after them."""
    logs, table = Logs(), Table()
    for one in records:
        step = work([one], table)
        logs.add(step)
        table |= step.states
    return logs, table


@given(streams(), st.lists(st.integers(1, 12), max_size=12))
def test_chunks_may_be_cut_anywhere(records: list[Record], sizes: list[int]) -> None:
    expected, states = once(records)
    logs, table = Logs(), Table()
    for part in cut(records, sizes):
        step = work(part, table)
        logs.add(step)
        table |= step.states
    assert logs.of_user == expected.of_user
    assert {user: order.decode(raw) for user, raw in table.items()} == {user: order.decode(raw) for user, raw in states.items()}


@given(streams(), st.data())
def test_a_crash_may_come_anywhere(records: list[Record], data: st.DataObject) -> None:
    """Outputs are confirmed in order, then states are written, one by one, then offsets; the worker dies between any two."""
    expected, states = once(records)
    logs, table = Logs(), Table()
    done = committed = 0
    for crashes in range(12):
        part = records[done : done + data.draw(st.integers(1, 12))]
        step = work(part, table)
        if crashes == 11 or data.draw(st.booleans(), label="no crash"):
            logs.add(step)
            table |= step.states
            done += len(part)
            committed = data.draw(st.integers(committed, done), label="committed")
            continue
        confirmed = data.draw(st.integers(0, len(step.log)), label="confirmed")
        logs.add(Step(log=step.log[:confirmed]))
        if confirmed == len(step.log):
            for user in data.draw(st.lists(st.sampled_from(sorted(step.states)), unique=True) if step.states else st.just([])):
                table[user] = step.states[user]
        done = committed
    for one in records[done:]:
        step = work([one], table)
        logs.add(step)
        table |= step.states
    assert logs.of_user == expected.of_user
    assert {user: order.decode(raw) for user, raw in table.items()} == {user: order.decode(raw) for user, raw in states.items()}


@given(streams(), st.lists(st.integers(1, 12), max_size=12))
def test_each_record_ends_in_exactly_one_verdict(records: list[Record], sizes: list[int]) -> None:
    table, counts, read = Table(), Counter[str](), 0
    for part in cut(records, sizes):
        step = work(part, table)
        table |= step.states
        read += len(part)
        counts.update(step.counts)
        assert set(counts) <= {*ENDS, "released"}
        assert sum(counts[end] for end in ENDS) == read
        assert len(step.dead) == step.counts.get("dead", 0)
        assert sum(map(len, step.moved.values())) == step.counts.get("moved", 0)
        waiting = sum(len(source.waiting) for raw in table.values() for source in order.decode(raw).sources.values())
        assert counts["waiting"] - counts["released"] == waiting
        assert counts["logged"] + counts["late"] + counts["released"] == sum(order.decode(raw).position for raw in table.values())
    assert counts["repeated"] == 0
    again = work(records, table)
    assert not again.log
    assert not again.states
    read_again = {one.value for one in records if one.key and work([one], Table()).counts.keys() & {"logged", "waiting"}}
    assert again.counts.get("repeated", 0) == sum(bool(one.key) and one.value in read_again for one in records)

"""The benchmarks' input, their checker and their ratios: a figure counts only if these are right."""

from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest

from activity.chunk import Chunk
from activity.events import Event, decode
from activity.sequencing import sequence
from benchmarks.figures import Spread, percentile, spread
from benchmarks.peers.rule import State, advance
from benchmarks.stream.checker import Checker
from benchmarks.stream.events import Input, Sent, event, partition_of
from benchmarks.stream.figures import ratios, table
from benchmarks.stream.side import Run
from tests.activity.examples import Record
from tests.activity.partitions import Table

USERS, RECORDS = 20, 4_000
Out = tuple[bytes, bytes]


@pytest.fixture(scope="module")
def given() -> tuple[list[Sent], Counter[str]]:
    made = Input(RECORDS, USERS)
    return list(made), made.distinct


def test_the_input_has_what_it_says(given: tuple[list[Sent], Counter[str]]) -> None:
    sent, distinct = given
    assert len(sent) == RECORDS
    assert 180 <= sum(len(one.value) for one in sent) / RECORDS <= 220
    decoded = [decode(one.user.encode(), one.value) for one in sent]
    assert all(isinstance(one, Event) for one in decoded)
    numbers = [(one.user, one.sequence) for one in decoded if isinstance(one, Event)]
    assert set(numbers) == {(user, number) for user, count in distinct.items() for number in range(1, count + 1)}
    repeated = RECORDS - len(set(numbers))
    assert 0.04 < repeated / RECORDS < 0.06
    first_seen = list(dict.fromkeys(numbers))
    greatest, swapped = Counter[str](), 0
    for user, number in first_seen:
        assert number is not None
        swapped += number < greatest[user]
        greatest[user] = max(greatest[user], number)
    assert 0.012 < swapped / len(first_seen) < 0.028
    assert {one.partition for one in sent} <= set(range(8))


def test_the_same_seed_gives_the_same_input(given: tuple[list[Sent], Counter[str]]) -> None:
    assert list(Input(RECORDS, USERS)) == given[0]


def test_many_users_get_all_their_events() -> None:
    made = Input(50, 1_000)
    assert len(list(made)) == 50


def test_a_user_lies_where_kafka_puts_it() -> None:
    """The number is from the tests of Kafka's own `Utils.murmur2`."""
    assert partition_of("foobar", 8) == (-790332482 & 0x7FFFFFFF) % 8


def expected_output(sent: Sequence[Sent]) -> list[Out]:
    """By the peers' rule."""
    users: dict[str, State] = {}
    found = []
    for one in sent:
        decoded = decode(one.user.encode(), one.value)
        assert isinstance(decoded, Event)
        state = users.setdefault(one.user, State())
        found += [(one.user.encode(), raw) for raw in advance(state, decoded.sequence or 0, one.value)]
    return found


def problems(out: Sequence[Out], distinct: Counter[str]) -> list[str]:
    checker = Checker(distinct)
    for key, value in out:
        checker.take(key, value)
    return checker.problems()


def test_the_peers_rule_and_ours_give_what_the_checker_wants(given: tuple[list[Sent], Counter[str]]) -> None:
    sent, distinct = given
    assert problems(expected_output(sent), distinct) == []
    records = [Record(one.user.encode(), one.value, offset, 0) for offset, one in enumerate(sent)]
    assert problems(sequence(Chunk("activity.events", 0, records), Table(), lambda _: 0).log, distinct) == []


def test_the_checker_finds_a_lost_a_repeated_a_disordered_and_a_strange_record(given: tuple[list[Sent], Counter[str]]) -> None:
    sent, distinct = given
    out = expected_output(sent)
    last = out[-1]
    assert problems(out[:-1], distinct) == [
        f"{last[0].decode()} has {distinct[last[0].decode()] - 1} of {distinct[last[0].decode()]} events"
    ]
    assert problems([*out, last], distinct) != []
    own = [at for at, (key, _) in enumerate(out) if key == b"u-1"]
    swapped = list(out)
    swapped[own[0]], swapped[own[1]] = out[own[1]], out[own[0]]
    assert problems(swapped, distinct) != []
    assert problems([*out, (b"u-x", advance(State(), 1, event("u-x", 1))[0])], distinct) == ["u-x sent nothing"]
    assert "unreadable" in problems([*out, (b"u-1", b"{")], distinct)[0]
    assert "has the key" in problems([(b"u-2", out[own[0]][1]), *out], distinct)[0]


def test_a_lost_record_in_the_middle_is_found_too(given: tuple[list[Sent], Counter[str]]) -> None:
    sent, distinct = given
    out = expected_output(sent)
    for at in (0, 7, len(out) // 2):
        assert problems(out[:at] + out[at + 1 :], distinct) != []


# -- figures -----------------------------------------------------------------------------------------------------------


def run(side: str, number: int, rate: float, *, checked: bool = True) -> Run:
    return Run(
        side=side,
        round=number,
        work="",
        records=10,
        events_per_second=rate,
        cpu_us=1.0,
        peak_mb=2.0,
        seconds=3.0,
        checked=checked,
    )


def test_ratios_are_those_of_one_round() -> None:
    runs = [run("a", 1, 100), run("b", 1, 50), run("a", 2, 30), run("b", 2, 10), run("a", 3, 9)]
    assert ratios(runs, "a", "b") == [2.0, 3.0]
    assert spread(ratios(runs, "a", "b")) == Spread(2.5, 2.0, 3.0)
    assert spread([]) is None


def test_a_run_that_failed_its_check_has_no_figure() -> None:
    runs = [run("a", 1, 100), run("b", 1, 900, checked=False), run("a", 2, 100), run("b", 2, 50)]
    assert ratios(runs, "a", "b") == [2.0]
    rows = {line.split(" | ")[0].strip("| "): line for line in table(runs, "a")[2:]}
    assert "| 50 | 2.00 (2.00-2.00) |" in rows["b"]
    assert rows["b"].endswith("1 of 2 |")
    assert "0 of 1" in table([run("c", 1, 5, checked=False)], "a")[2]


def test_a_percentile_is_one_of_the_figures() -> None:
    figures = [float(number) for number in range(1, 101)]
    assert [percentile(figures, share) for share in (0.5, 0.99, 1.0)] == [50.0, 99.0, 100.0]
    assert percentile([5.0], 0.99) == 5.0
    assert percentile([], 0.5) == float("inf")


def test_runs_can_be_written_and_read() -> None:
    one = run("a", 1, 100)
    assert msgspec.json.decode(msgspec.json.encode(one), type=Run) == one

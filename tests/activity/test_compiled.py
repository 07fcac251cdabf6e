"""The compiled core decides what the other decides, whatever the bytes; and it takes what events mostly are."""

import random
from typing import Final

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from activity import order
from activity.chunk import Chunk
from activity.events import MAX_DEPTH, MAX_EVENT, MAX_TEXT
from activity.hand import COMPILED, Hand
from activity.order import MAX_STATE, WINDOW, Source, State, Waiting
from activity.sequencing import sequence
from tests.activity.examples import Record, value
from tests.activity.mutations import TOKENS, USUAL, decided, mutated
from tests.activity.partitions import Table, owner

Compiled: Final[type[Hand]] = COMPILED or Hand
pytestmark = pytest.mark.skipif(COMPILED is None, reason="it was not built here")


def took(raw: bytes | None, key: bytes | None = b"u-1", headers: list[tuple[str, bytes | None]] | None = None) -> bool:
    """Whether it was usual enough."""
    return Compiled.take_all([Record(key, raw, 0, 1_000, headers or [])], 0, {}, lambda _: Compiled.opened(None), [], {}) == 1


def alike(records: list[Record], table: Table | None = None) -> None:
    steps = [sequence(Chunk("activity.events", 0, records), Table(table or {}), owner, hand) for hand in (Compiled, Hand)]
    assert steps[0] == steps[1]


@pytest.mark.parametrize("raw", USUAL)
def test_it_takes_what_is_usual(raw: bytes) -> None:
    assert took(raw)
    assert not took(raw, b"u-2")
    assert not took(raw, None)
    assert not took(raw, headers=[("a", b"")])
    assert not took(raw[:-1])
    assert not took(raw + b" ")
    assert not took(None)


@pytest.mark.parametrize("key", ["id", "source", "type", "subject", "specversion"])
def test_it_takes_no_event_without(key: str) -> None:
    assert not took(value(sequence="1", **{key: None}))


@pytest.mark.parametrize("key", ["id", "source", "type", "subject", "specversion", "sequence", "time", "traceparent"])
def test_it_takes_no_attribute_twice(key: str) -> None:
    raw = value(sequence="1", time="2026-01-31T09:30:00Z", traceparent="x")
    again = msgspec.json.encode({key: msgspec.json.decode(raw)[key]})
    assert took(raw)
    assert not took(raw[:-1] + b"," + again[1:])


@pytest.mark.parametrize(
    ("inside", "is_usual"),
    [
        *((b"[" * depth + b"]" * depth, depth < MAX_DEPTH) for depth in (MAX_DEPTH - 1, MAX_DEPTH)),
        *((b'{"a":' * depth + b"1" + b"}" * depth, depth < MAX_DEPTH) for depth in (MAX_DEPTH - 1, MAX_DEPTH)),
        *((b'"' + b"x" * size + b'"', size < MAX_EVENT - 100) for size in (MAX_EVENT - 200, MAX_EVENT)),
    ],
)
def test_its_bounds_are_those_of_the_other(inside: bytes, is_usual: bool) -> None:
    raw = value(sequence="1")[:-1] + b',"data":' + inside + b"}"
    assert took(raw) == is_usual
    alike([Record(b"u-1", raw, 0, 1_000)])


def test_its_size_is_bounded_as_the_other_s() -> None:
    for more in (0, 1):
        raw = value(sequence="1", data="")
        raw = raw[:-2] + b"x" * (MAX_EVENT + more - len(raw)) + raw[-2:]
        assert len(raw) == MAX_EVENT + more
        assert took(raw) == (not more)
        alike([Record(b"u-1", raw, 0, 1_000)])


@pytest.mark.parametrize("name", ["id", "source", "type", "subject"])
@pytest.mark.parametrize("text", ["", "x" * (MAX_TEXT // 4), "x" * (MAX_TEXT // 4 + 1), "ğ" * (MAX_TEXT // 2 + 1)])
def test_its_texts_are_as_long_as_the_other_s(name: str, text: str) -> None:
    raw = value(sequence="1", **{name: text})
    key = text.encode() if name == "subject" else b"u-1"
    assert took(raw, key) == (0 < len(text.encode()) <= MAX_TEXT // 4)
    alike([Record(key, raw, 0, 1_000)])


@pytest.mark.parametrize("token", TOKENS)
def test_it_decides_alike_whatever_stands_wherever(token: bytes) -> None:
    for raw in (
        value(sequence="1", id="ID")[:-1] + b',"data":' + token + b"}",
        value(sequence="1", id="ID")[:-1] + b',"data":"' + token + b'"}',
        value(sequence="1", id="ID").replace(b'"ID"', token),
        *(value(sequence="1", **{name: "X~"}).replace(b"X~", token) for name in ("id", "source", "type", "traceparent")),
        value(sequence="X~").replace(b"X~", token),
        value(sequence="1").replace(b"1.0", token),
        *(
            value(sequence="1", time=time).replace(b"X~", token)
            for time in ("X~T09:30:00Z", "2026-01-31X~", "2026-01-31T09:30:00X~")
        ),
        token + value(sequence="1"),
        value(sequence="1") + token,
        value(sequence="1")[:-1] + b',"' + token + b'":1}',
    ):
        assert decided(raw, Compiled) == decided(raw, Hand), raw


def test_it_decides_alike_wherever_an_event_is_cut() -> None:
    for raw in USUAL:
        for end in range(len(raw)):
            assert decided(raw[:end], Compiled) == decided(raw[:end], Hand), raw[:end]
            assert decided(raw[end:], Compiled) == decided(raw[end:], Hand), raw[end:]


@given(st.integers(0, 2**32))
def test_it_decides_alike_whatever_was_changed(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(20):
        raw = mutated(chance)
        assert decided(raw, Compiled) == decided(raw, Hand), raw


@given(st.binary(max_size=60))
def test_it_decides_alike_whatever_it_is(raw: bytes) -> None:
    assert decided(raw, Compiled) == decided(raw, Hand)
    key = msgspec.json.decode(USUAL[0])["subject"].encode() + raw
    assert decided(USUAL[0], Compiled, key) == decided(USUAL[0], Hand, key)


@given(
    st.datetimes().map(lambda time: time.isoformat()) | st.text("0123456789-+:.TZ", max_size=35),
    st.sampled_from(["", "Z", "+05:00", "-23:59"]),
)
def test_it_decides_alike_whatever_the_time(time: str, zone: str) -> None:
    alike([Record(b"u-1", value(sequence="1", time=time + zone), 0, 1_000)])


# -- states ------------------------------------------------------------------------------------------------------------

NUMBERS: Final = st.integers(0, 200) | st.sampled_from([2**n + more for n in (8, 16, 32, 59) for more in (-1, 0)])
WAITING: Final = st.builds(
    lambda ahead, check, since, raw: Waiting(ahead, check, since, raw),
    NUMBERS, st.binary(min_size=4, max_size=4), st.floats(0, 1e12), st.sampled_from([b"{}", b"x" * 300, b"x" * 70_000]),
)  # fmt: skip
SOURCES: Final = st.builds(
    Source,
    NUMBERS,
    st.integers(0, WINDOW).map(lambda count: bytes(range(1, 5)) * count),
    st.lists(WAITING, max_size=3).map(tuple) | st.just((Waiting(9, b"abcd", 1.5, b"{}"),) * 20),
)
STATES: Final = st.builds(
    State,
    NUMBERS,
    st.dictionaries(
        st.text(min_size=1, max_size=40) | st.sampled_from(["s" * 31, "s" * 32, "s" * 255, "s" * 256]), SOURCES, max_size=4
    )
    | st.integers(15, 17).map(lambda count: {str(number): Source(number) for number in range(count)}),
    st.integers(0, WINDOW).map(lambda count: b"12345678" * count),
    NUMBERS,
)


EDGES: Final = State(
    128,
    {
        "s" * size: Source(due)
        for size, due in zip((31, 32, 255, 256, 65535, 65536), (127, 128, 255, 256, 65535, 65536), strict=True)
    },
    duplicates=2**32,
)


@given(STATES, NUMBERS, st.floats(allow_nan=False))
@example(EDGES, 7, 1.5)
def test_a_state_is_read_and_written_as_by_the_other(state: State, offset: int, touched: float) -> None:
    hand = Compiled.opened(order.encode(state, offset, 1.0))
    assert (hand.known, hand.changed, hand.encoded()) == (offset, None, None)
    hand.touch(offset + 1, touched)
    assert hand.encoded() == order.encode(state, offset + 1, touched)
    assert hand.state == state


@given(STATES, st.data())
def test_bytes_that_are_no_state_are_none_to_both(state: State, data: st.DataObject) -> None:
    whole = order.encode(state, 7, 1.0)
    raw = bytearray(whole[: data.draw(st.integers(1, len(whole)))])
    if data.draw(st.booleans()):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    found: list[object] = []
    for hand in (Compiled, Hand):
        try:
            found.append(hand.opened(bytes(raw)).state)
        except Exception as error:  # noqa: BLE001  (the same one)
            found.append(type(error))
    assert found[0] == found[1]


def test_a_state_is_bounded_as_the_other_s() -> None:
    big = [Record(b"u-1", value(id=str(n), sequence=str(n), data="x" * 100_000), n) for n in range(2, 9)]
    alike(big)
    many = [Record(b"u-1", value(source=str(n) * 20, sequence="1"), n) for n in range(MAX_STATE // (6 * WINDOW) + 10)]
    alike(many)
    alike([Record(b"u-1", value(sequence=str(n)), n) for n in range(2, WINDOW + 4)])
    ahead = [Record(b"u-1", value(id=str(n), sequence=str(n)), n) for n in (1, *range(3, WINDOW + 40), 2)]
    alike(ahead)


@pytest.mark.parametrize("stamp", [2**53 - 1, -(2**53), 2**63 - 1, -1])
def test_a_time_that_no_calendar_has_is_told_alike(stamp: int) -> None:
    alike([Record(b"u-1", value(sequence="1"), 0, stamp)])


def test_both_can_be_asked_the_same() -> None:
    asked = {name for name in vars(Hand) if not name.startswith("_")} - {"take", "known"}
    assert asked <= set(dir(Compiled))

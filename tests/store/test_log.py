"""What `store.interfaces.Log` promises, on the fake, SQLite and Postgres."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from store.interfaces import Log
from store.log import Appended, Difference, Entry
from store.opening import open_store
from tests.store.orders import entry


async def test_keeps_every_column_and_reads_newest_first(log: Log) -> None:
    entries = [entry(position) for position in range(1, 7)]
    assert await log.append(entries) == Appended(6)
    assert await log.read("u-1") == entries[::-1]
    assert await log.count() == 6


async def test_reads_pages_of_one_user_and_type(log: Log) -> None:
    await log.append([entry(n, type="a" if n % 2 else "b") for n in range(1, 11)] + [entry(n, "u-2") for n in range(1, 4)])
    assert [one.position for one in await log.read("u-1", limit=3)] == [10, 9, 8]
    assert [one.position for one in await log.read("u-1", before=8, limit=3)] == [7, 6, 5]
    assert [one.position for one in await log.read("u-1", before=8, limit=2, type="b")] == [6, 4]
    assert [one.user_id for one in await log.read("u-2")] == ["u-2"] * 3
    assert await log.read("nobody") == []


def received(position: int, time: str) -> Entry:
    return replace(entry(position), received=f"2026-01-31T{time}Z")


def at(time: str) -> float:
    return datetime.fromisoformat(f"2026-01-31T{time}Z").timestamp()


async def test_reads_what_was_received_in_a_time(log: Log) -> None:
    await log.append(
        [received(1, "09:00:00.000"), received(2, "08:59:59.999"), received(3, "09:00:01.000"), received(4, "10:00:00.000")]
    )
    found = await log.read("u-1", since=at("09:00:00.000"), until=at("10:00:00.000"))
    assert [one.position for one in found] == [3, 1]
    assert [one.position for one in await log.read("u-1", since=at("09:00:00.001"), limit=1)] == [4]


async def test_reads_the_log_as_it_was(log: Log) -> None:
    """An event whose predecessor came later stands behind it: it was not in the log before that one was."""
    await log.append(
        [received(1, "09:00:00.000"), received(2, "09:00:05.000"), received(3, "09:00:01.000"), received(4, "09:00:06.000")]
    )
    await log.append([entry(1, "u-2")])

    async def positions(time: str, before: int | None = None) -> list[int]:
        return [one.position for one in await log.read("u-1", as_of=at(time), before=before)]

    assert await positions("08:59:59.999") == []
    assert await positions("09:00:00.000") == [1]
    assert await positions("09:00:04.999") == [1]
    assert await positions("09:00:05.000") == [3, 2, 1]
    assert await positions("09:00:05.000", before=3) == [2, 1]
    assert await positions("23:00:00.000") == [4, 3, 2, 1]


async def test_all_users_are_read_page_by_page_each_from_the_oldest_on(log: Log) -> None:
    entries = [entry(n, user) for n in (2, 3, 1) for user in ("u-2", "Ğ", "u-10", "u-1")]
    await log.append(entries)
    pages, after = [], None
    while page := await log.page(after, 5):
        pages.append(page)
        after = page[-1].user_id, page[-1].position
    assert [len(page) for page in pages] == [5, 5, 2]
    found = [one for page in pages for one in page]
    assert sorted(found, key=lambda one: (one.user_id, one.position)) == sorted(
        entries, key=lambda one: (one.user_id, one.position)
    )
    for user in ("u-1", "u-2", "u-10", "Ğ"):
        assert [one.position for one in found if one.user_id == user] == [1, 2, 3]


async def test_what_stands_is_passed_over(log: Log) -> None:
    await log.append([entry(1), entry(2)])
    assert await log.append([entry(1), entry(2), entry(3), entry(3)]) == Appended(1)
    assert await log.append([entry(1), entry(2), entry(3)]) == Appended(0)
    assert await log.count() == 3


async def test_the_first_record_of_an_event_stays(log: Log) -> None:
    await log.append([entry(1)])
    assert await log.append([replace(entry(1), kafka_offset=1, event=b"{}")]) == Appended(0)
    assert await log.read("u-1") == [entry(1)]


async def test_a_batch_of_any_size(log: Log) -> None:
    entries = [entry(n, f"u-{n % 7}") for n in range(1, 1501)]
    assert await log.append(entries) == Appended(1500)
    assert await log.append(entries) == Appended(0)
    assert await log.append([]) == Appended(0)


async def test_a_conflict_keeps_nothing_else_out(log: Log) -> None:
    await log.append([entry(1), entry(2)])
    taken = entry(2, event_id="e-other")  # its position is another event's
    assert await log.append([entry(3), taken, entry(1)]) == Appended(1, [taken])
    assert await log.read("u-1") == [entry(3), entry(2), entry(1)]


async def test_an_event_that_the_sequencer_forgot_keeps_its_new_position_and_says_where_it_stood(log: Log) -> None:
    await log.append([entry(1), entry(2)])
    again = entry(3, event_id="e-1")
    assert await log.append([again, entry(4)]) == Appended(2)
    assert await log.append([again, entry(4)]) == Appended(0)
    assert await log.read("u-1") == [entry(4), replace(again, repeats=1), entry(2), entry(1)]


async def test_an_event_may_come_again_within_a_batch(log: Log) -> None:
    again = entry(2, event_id="e-1")
    assert await log.append([entry(1), again, entry(3)]) == Appended(3)
    assert [found.repeats for found in await log.read("u-1")] == [None, 1, None]


async def test_the_same_event_id_of_another_user_or_source_is_another_event(log: Log) -> None:
    others = [entry(1, "u-2", "e-1"), replace(entry(2, event_id="e-1"), source="/other")]
    assert await log.append([entry(1), *others]) == Appended(3)


@pytest.mark.parametrize("wrong", [{"event_id": "\ud800"}, {"position": 2**63}, {"position": 0}], ids=str)
async def test_what_can_not_be_held_keeps_nothing_else_out(log: Log, wrong: dict[str, Any]) -> None:
    impossible = replace(entry(2), **wrong)
    assert await log.append([entry(1), impossible, entry(3)]) == Appended(2, [impossible])
    assert await log.append([entry(1), impossible, entry(3)]) == Appended(0, [impossible])
    assert await log.read("u-1") == [entry(3), entry(1)]


async def test_a_comparison_says_what_an_append_would_do_and_does_nothing(log: Log) -> None:
    await log.append([entry(n) for n in range(1, 700)])
    taken, again = entry(2, event_id="e-other"), entry(800, event_id="e-1")
    wrong: list[dict[str, Any]] = [{"position": 0}, {"position": 2**63}, {"event_id": "\ud800"}]
    impossible = [replace(entry(900), **change) for change in wrong]
    entries = [*(entry(n) for n in range(1, 703)), taken, *impossible, again]
    wanted = Difference(missing=[entry(700), entry(701), entry(702), again], conflicts=[taken, *impossible])
    assert await log.compare(entries) == wanted
    assert await log.count() == 699
    assert await log.append(entries) == Appended(len(wanted.missing), wanted.conflicts)
    assert await log.compare(entries) == Difference([], wanted.conflicts)
    assert await log.compare([]) == Difference([], [])


@pytest.mark.parametrize("usual", [True, False])
async def test_a_chunk_goes_in_one_way_or_the_other_never_in_half(tmp_path: Path, usual: bool) -> None:
    """SQLite: what is all new is written in one go; else that was rolled back, and the careful way finds out which is."""
    async with open_store(f"sqlite:///{tmp_path}/it.db") as store:
        if not usual:
            assert await store.log.append([entry(2)]) == Appended(1)
        assert await store.log.append([entry(1), entry(2), entry(3)]) == Appended(3 if usual else 2)
        assert [one.position for one in await store.log.read("u-1")] == [3, 2, 1]
        assert await store.log.append([entry(4)]) == Appended(1), "it goes on after that"


async def test_a_user_that_no_text_can_be_did_nothing(log: Log) -> None:
    assert await log.read("\0", type="\0", as_of=5.0) == []
    assert await log.position("\0", "\0", "\0") is None

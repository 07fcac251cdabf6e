"""The dead-letter desk: one suite for the fake and each database."""

import asyncio
from typing import Protocol

import pytest
from msgspec.structs import replace

from activity.claims import Claim, Go, Later, Over
from activity.dead import UNSTORABLE, DeadLetter, DeskEntry
from activity.jobs import decode_job
from activity.outcomes import Dead, Sent
from store.deadletters import MISSING, LetterGroup, LetterRow, LetterSummary, Wanted
from store.interfaces import Desk, Intake, JobList, LetterList, Schedule, UserLetters
from store.ledger import Settlement
from store.opening import Store
from tests.store.conftest import FullLedger
from tests.store.desk import MemoryLetters
from tests.store.fakes import MemoryLedger
from tests.store.orders import job

LETTER = DeadLetter(
    id="l-1",
    broker="kafka",
    origin="activity.events",
    partition=3,
    offset=2**40,
    reason="not-json",
    problem="byte 0: 100 % wrong",
    user="u-1",
    key=b"u-1\0\xff",
    headers=[("a", None), ("b", b"\xff\0"), ("a", b"")],
    payload=b'{"name": "\xc3\xa9\0\xff"}',
    first_seen=10.0,
)


class FullDesk(Intake, LetterList, Desk, Protocol):
    """All of it."""


class Kept:
    """A desk of one kind, and the ledger that it shares a store with."""

    def __init__(self, store: Store | None) -> None:
        fake = MemoryLedger("resend")
        letters = MemoryLetters(fake)
        self.desk: FullDesk = letters if store is None else store.letters
        self.of_users: UserLetters = letters if store is None else store.user_letters
        self.ledger: FullLedger = fake if store is None else store.ledger("resend")
        self.jobs: JobList = fake if store is None else store.jobs
        self.schedule: Schedule = fake if store is None else store.schedule

    async def row(self, id: str = "l-1") -> LetterRow:
        found = await self.desk.letter(id)
        assert found is not None
        return found.letter

    async def did(self, id: str = "l-1") -> list[tuple[int, str, str, str]]:
        found = await self.desk.letter(id)
        assert found is not None
        return [(action.number, action.what, action.by, action.note) for action in found.actions]


@pytest.fixture
def kept(any_store: Store | None) -> Kept:
    return Kept(any_store)


async def test_what_is_taken_again_stays_as_it_is(kept: Kept) -> None:
    await kept.desk.take([LETTER, LETTER])
    assert await kept.desk.edit("l-1", b"{}", "ann", "", 11.0) is None
    await kept.desk.take([replace(LETTER, problem="other"), replace(LETTER, id="l-2")])
    await kept.desk.take([])
    found = await kept.row()
    assert (found.payload, found.key, found.headers, found.problem) == (
        LETTER.payload,
        LETTER.key,
        LETTER.headers,
        LETTER.problem,
    )
    assert (found.partition, found.offset, found.state, found.edited) == (3, 2**40, "open", b"{}")
    assert [row.id for row in await kept.desk.letters(Wanted())] == ["l-2", "l-1"]
    assert await kept.desk.letter("l-3") is None


async def test_what_no_text_can_hold_is_kept_all_the_same(kept: Kept) -> None:
    odd = replace(LETTER, key=None, payload=None, headers=[], reason="r" * 9, user="u\ud800", problem="\0\udfff")
    await kept.desk.take([odd])
    found = await kept.row()
    assert (found.key, found.payload, found.headers) == (None, None, [])


async def test_a_letter_that_the_store_can_not_hold_keeps_none_out_and_is_kept_in_part(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    letters = [LETTER, replace(LETTER, id="l-2", partition=2**70), replace(LETTER, id="l-3")]
    for _ in range(2):
        await store.letters.take(letters)
    kept = {row.id: row for row in await store.letters.letters(Wanted())}
    assert [(id, row.reason) for id, row in sorted(kept.items())] == [
        ("l-1", "not-json"),
        ("l-2", UNSTORABLE),
        ("l-3", "not-json"),
    ]
    found = await store.letters.letter("l-2")
    assert found is not None
    assert found.letter.payload == LETTER.payload
    assert str(2**70) in kept["l-2"].problem
    assert {record.levelname for record in caplog.records} == {"ERROR"}
    assert "name" not in caplog.text, "what stands in a letter is in no log"


async def test_letters_are_found_by_every_condition(kept: Kept) -> None:
    other = replace(
        LETTER, id="l-2", reason="spent", origin="email.bulk", user="u-2", payload=b"100 x", problem="", first_seen=20.0
    )
    await kept.desk.take([LETTER, other])
    assert await kept.desk.discard("l-2", "ann", "", 30.0) is None
    for wanted, ids in (
        (Wanted(state="open"), ["l-1"]),
        (Wanted(state="discarded"), ["l-2"]),
        (Wanted(reason="spent"), ["l-2"]),
        (Wanted(origin="email.bulk", reason="spent", user="u-2", since=20.0, text="100"), ["l-2"]),
        (Wanted(user="u-1"), ["l-1"]),
        (Wanted(since=10.5), ["l-2"]),
        (Wanted(text="é"), ["l-1"]),
        (Wanted(text="100 %"), ["l-1"]),
        (Wanted(text="100"), ["l-2", "l-1"]),
        (Wanted(text="%"), ["l-1"]),
        (Wanted(reason="spent", user="u-1"), []),
    ):
        assert [row.id for row in await kept.desk.letters(wanted)] == ids, wanted
    assert await kept.desk.groups(Wanted()) == [
        LetterGroup("not-json", "activity.events", 1, 0, 0, 10.0, 10.0),
        LetterGroup("spent", "email.bulk", 0, 0, 1, 20.0, 20.0),
    ]
    assert await kept.desk.groups(Wanted(state="open", text="é")) == [
        LetterGroup("not-json", "activity.events", 1, 0, 0, 10.0, 10.0)
    ]


async def test_pages_have_each_letter_once_from_both_ends(kept: Kept) -> None:
    letters = [replace(LETTER, id=f"l-{number}", first_seen=float(number // 2)) for number in range(7)]
    await kept.desk.take(letters)
    for oldest_first, ids in ((True, [one.id for one in letters]), (False, [one.id for one in reversed(letters)])):
        found: list[str] = []
        while page := await kept.desk.letters(Wanted(), limit=3, after=found[-1] if found else None, oldest_first=oldest_first):
            found += [row.id for row in page]
        assert found == ids


async def test_a_list_says_of_each_what_a_list_shows(kept: Kept) -> None:
    await kept.desk.take([LETTER])
    assert await kept.desk.edit("l-1", b"{}", "ann", "", 11.0) is None
    (found,) = await kept.desk.letters(Wanted())
    shown = LetterSummary("l-1", "open", LETTER.reason, LETTER.problem, LETTER.origin, "u-1", "", True, 10.0, 11.0)
    assert found == shown
    await kept.desk.take([replace(LETTER, id="l-2", first_seen=12.0)])
    assert [one.edited for one in await kept.desk.letters(Wanted())] == [False, True]


async def test_a_page_follows_a_letter_that_is_no_longer_wanted(kept: Kept) -> None:
    await kept.desk.take([replace(LETTER, id=f"l-{number}", first_seen=float(number)) for number in range(4)])
    assert await kept.desk.discard("l-1", "ann", "", 9.0) is None
    page = await kept.desk.letters(Wanted(state="open"), after="l-1", oldest_first=True)
    assert [row.id for row in page] == ["l-2", "l-3"]


async def test_a_users_letters_come_page_by_page_with_what_was_done(kept: Kept) -> None:
    letters = [replace(LETTER, id=f"l-{number}", first_seen=float(number // 2)) for number in range(7)]
    await kept.desk.take([*letters, replace(LETTER, id="l-9", user="u-2")])
    assert await kept.desk.edit("l-3", b"{}", "ann", "typo", 11.0) is None
    assert await kept.desk.discard("l-3", "bob", "", 12.0) is None
    found: list[DeskEntry] = []
    while page := await kept.of_users.of_user(
        "u-1", limit=3, after=(found[-1].first_seen, found[-1].id) if found else None, since=0.0, until=3.0
    ):
        found += page
    assert [one.id for one in found] == ["l-5", "l-4", "l-3", "l-2", "l-1", "l-0"]
    told = {one.id: one for one in found}
    assert (told["l-2"].reason, told["l-2"].problem, told["l-2"].offset) == (LETTER.reason, LETTER.problem, 2**40)
    assert (told["l-3"].state, told["l-2"].state, told["l-2"].actions) == ("discarded", "open", [])
    assert [(one.number, one.at, one.by, one.what, one.note) for one in told["l-3"].actions] == [
        (1, 11.0, "ann", "edited", "typo"),
        (2, 12.0, "bob", "discarded", ""),
    ]
    assert [one.id for one in await kept.of_users.of_user("u-1", since=2.5)] == ["l-6"]
    assert await kept.of_users.of_user("nobody") == []


async def test_a_job_has_its_newest_letter(kept: Kept) -> None:
    jobs = (("l-1", "j-1", 2.0), ("l-2", "j-1", 1.0), ("l-3", "j-2", 1.0), ("l-4", "", 1.0))
    await kept.desk.take([replace(LETTER, id=id, job=job, first_seen=died) for id, job, died in jobs])
    await kept.desk.take([replace(LETTER, id="l-5", job="j-3", user="u-2")])
    assert await kept.of_users.of_jobs("u-1", ["j-1", "j-3", "j-4"]) == {"j-1": "l-1"}
    assert await kept.of_users.of_jobs("u-1", []) == {}


async def test_who_did_what_and_when_is_kept_in_order(kept: Kept) -> None:
    await kept.desk.take([LETTER])
    assert await kept.desk.edit("l-1", b"{}", "ann", "typo", 11.0) is None
    assert await kept.desk.discard("l-1", "bob", "spam", 12.0) is None
    assert await kept.desk.undo("l-1", "cy", "no spam", 13.0) is None
    assert await kept.desk.edit("l-1", None, "ann", "", 14.0) is None
    assert (await kept.row()).edited is None
    assert await kept.desk.replayed("l-1", "ann", "", 15.0) is None
    assert await kept.did() == [
        (1, "edited", "ann", "typo"),
        (2, "discarded", "bob", "spam"),
        (3, "reopened", "cy", "no spam"),
        (4, "edited", "ann", ""),
        (5, "replayed", "ann", ""),
    ]
    assert ((await kept.row()).state, (await kept.row()).changed) == ("replayed", 15.0)


async def test_only_an_open_letter_can_be_worked_on(kept: Kept) -> None:
    await kept.desk.take([LETTER])
    assert await kept.desk.undo("l-1", "ann", "", 11.0) == "it is not discarded"
    assert await kept.desk.discard("l-1", "bob", "", 12.0) is None
    told = "it was discarded by bob"
    assert await kept.desk.edit("l-1", b"", "ann", "", 13.0) == told
    assert await kept.desk.replayed("l-1", "ann", "", 13.0) == told
    assert await kept.desk.discard("l-1", "ann", "", 13.0) == told
    assert await kept.desk.replay_jobs("l-1", [job()], "ann", "", due=13.0, now=13.0) == told
    assert await kept.jobs.job("j-1") is None
    assert await kept.desk.edit("l-9", b"", "ann", "", 13.0) == MISSING
    assert len(await kept.did()) == 1


async def test_who_has_not_seen_what_was_done_since_is_told(kept: Kept) -> None:
    await kept.desk.take([LETTER])
    assert await kept.desk.edit("l-1", b"A", "ann", "", 11.0, 0) is None
    told = "it was edited by ann meanwhile: look again"
    assert await kept.desk.edit("l-1", b"B", "bob", "", 12.0, 0) == told
    assert await kept.desk.replayed("l-1", "bob", "", 12.0, 0) == told
    assert await kept.desk.replay_jobs("l-1", [job()], "bob", "", due=12.0, now=12.0, seen=0) == told
    assert await kept.jobs.job("j-1") is None
    assert ((await kept.row()).edited, (await kept.row()).state) == (b"A", "open")
    assert await kept.desk.edit("l-1", b"B", "bob", "", 13.0, 1) is None
    assert await kept.desk.replayed("l-1", "bob", "", 14.0, 2) is None
    assert await kept.desk.edit("l-1", b"C", "ann", "", 15.0, 0) == "it was replayed by bob"


async def test_a_dead_job_gets_one_more_round_however_often_it_is_replayed(kept: Kept) -> None:
    await kept.desk.take([LETTER])
    await kept.ledger.settle([Settlement(job(), 3, "a", 4.0, Dead("bad-address"))], 5.0)
    mended = replace(job(), to="bob@shop.example")
    replays = [kept.desk.replay_jobs("l-1", [mended], f"p-{number}", "", due=30.0, now=20.0) for number in range(4)]
    came = await asyncio.gather(*replays)
    assert came.count(None) == 1
    history = await kept.jobs.job("j-1")
    assert history is not None
    assert (history.job.state, history.job.attempt, history.job.recipient) == ("scheduled", 3, "bob@shop.example")
    assert await kept.schedule.take("s", 90.0, 29.0, 10) == []
    (due,) = await kept.schedule.take("s", 90.0, 30.0, 10)
    assert (due.attempt, due.before, decode_job(due.body)) == (4, 3, mended)
    assert await kept.schedule.published(["j-1"], "s", 31.0) == ["j-1"]
    claims = [Claim(job(), 3, "old", 99.0), Claim(mended, 4, "new", 99.0), Claim(mended, 4, "twice", 99.0)]
    answers = await kept.ledger.claim(claims, 32.0)
    assert answers[:2] == [Over("dead"), Go(4)]
    assert await kept.ledger.settle([Settlement(mended, 4, "new", 32.0, Sent())], 33.0) == [True]
    assert await kept.ledger.claim([claims[2]], 34.0) == [Over("sent")]
    await kept.desk.take([replace(LETTER, id="l-2")])
    assert await kept.desk.replay_jobs("l-2", [mended], "ann", "", due=35.0, now=35.0) == "it has ended: sent"
    assert (await kept.row("l-2")).state == "open"


async def test_a_replayed_job_that_is_moved_keeps_its_new_round(kept: Kept) -> None:
    await kept.desk.take([LETTER])
    await kept.ledger.settle([Settlement(job(), 3, "a", 4.0, Dead("spent"))], 5.0)
    assert await kept.desk.replay_jobs("l-1", [job()], "ann", "", due=20.0, now=20.0) is None
    await kept.schedule.take("s", 90.0, 21.0, 10)
    await kept.schedule.published(["j-1"], "s", 22.0)
    assert await kept.ledger.move("j-1", 50.0, 23.0) is None
    assert await kept.ledger.claim([Claim(job(), 4, "a", 99.0, before=3)], 24.0) == [Later(50.0)]
    (due,) = await kept.schedule.take("s", 90.0, 50.0, 10)
    assert (due.attempt, due.before) == (4, 3)


async def test_a_job_that_the_ledger_has_not_heard_of_is_kept_for_its_time(kept: Kept) -> None:
    await kept.desk.take([LETTER, replace(LETTER, id="l-2")])
    assert await kept.desk.replay_jobs("l-1", [job()], "ann", "", due=30.0, now=20.0, new=True) is None
    assert await kept.desk.replay_jobs("l-2", [job(), job("j-2")], "ann", "", due=30.0, now=20.0, new=True) is None
    found = await kept.schedule.take("s", 90.0, 30.0, 10)
    assert [(due.id, due.attempt) for due in found] == [("j-1", 1), ("j-2", 1)]


async def test_a_problem_is_searched_as_it_is_written(kept: Kept) -> None:
    await kept.desk.take([replace(LETTER, problem="Rule Welcome: 50 % off")])
    for text, ids in (("Rule Welcome", ["l-1"]), ("rule welcome", []), ("50 %", ["l-1"]), ("%", ["l-1"]), ("R_le", [])):
        assert [row.id for row in await kept.desk.letters(Wanted(text=text))] == ids, text


async def test_the_letters_of_an_origin_that_no_text_can_hold(kept: Kept) -> None:
    await kept.desk.take([LETTER])
    assert await kept.desk.letters(Wanted(origin="\0", reason="\0\ud800", user="\0")) == []

"""Replaying dead letters while somebody else works on them: what is sent is what stands there, and nobody is told otherwise."""

from collections.abc import Awaitable, Callable, Sequence

import pytest
from msgspec.structs import replace

from activity.jobs import decode_job, encode_job
from activity.redelivery import Again
from activity.replay import Known
from store.deadletters import MISSING, LetterHistory, Wanted
from tests.activity.test_redelivery import LETTER, event
from tests.rabbit.desks import MemoryDesk
from tests.rabbit.test_redelivery import JOB, job_letter, row
from tests.store.desk import MemoryLetters


@pytest.fixture
def desk() -> MemoryDesk:
    return MemoryDesk()


async def two_events(desk: MemoryDesk) -> None:
    await desk.letters.take([replace(LETTER, id=f"l-{n}", payload=event(id=f"e-{n}"), first_seen=float(n)) for n in (1, 2)])


async def test_a_letter_discarded_while_its_group_is_replayed_is_not_sent(desk: MemoryDesk) -> None:
    await two_events(desk)
    came = []
    async for one in desk.redelivery.replay_all(desk.redelivery.open(Wanted()), "ann"):
        came.append(one.problem)
        if one.id == "l-1":
            assert await desk.letters.discard("l-2", "bob", "never", 5.0) is None
    assert came == [None, "it was discarded by bob"]
    assert [again.event.id for again in desk.sent] == ["e-1"]


async def test_a_letter_edited_while_its_group_is_replayed_is_sent_as_edited(desk: MemoryDesk) -> None:
    other = replace(JOB, id="5f0c6f0e-3a3c-5d0e-8f5e-0d8b7c0a9b12")
    await two_events(desk)
    await desk.letters.take([replace(job_letter(other), id="l-3", first_seen=3.0)])
    async for one in desk.redelivery.replay_all(desk.redelivery.open(Wanted()), "ann"):
        if one.id == "l-1":
            assert await desk.letters.edit("l-2", event(id="e-2", subject="u-9"), "bob", "", 5.0) is None
            mended = encode_job(replace(other, to="right@shop.example"))
            assert await desk.letters.edit("l-3", mended, "bob", "", 5.0) is None
    assert [again.key for again in desk.sent] == [b"u-1", b"u-9"]
    (due,) = await desk.ledger.take("s", 2e9, 1e9, 10)
    assert decode_job(due.body).to == "right@shop.example"


class Meddled(MemoryDesk):
    """Bob does something with letter l-1 when `known` is asked, or after it was sent: ann has looked at it by then."""

    def __init__(self, meddle: Callable[[MemoryLetters], Awaitable[str | None]]) -> None:
        super().__init__()
        self._meddle = meddle
        known = self.ledger.known

        async def asked(ids: Sequence[str]) -> dict[str, Known]:
            assert await meddle(self.letters) is None
            return await known(ids)

        self.ledger.known = asked  # type: ignore[method-assign]

    def _sender(self) -> Callable[[Again], Awaitable[None]]:
        send = super()._sender()

        async def sent(again: Again) -> None:
            await send(again)
            assert await self._meddle(self.letters) is None

        return sent


async def test_a_job_edited_while_it_is_replayed_is_not_given_out_as_it_was() -> None:
    mended = encode_job(replace(JOB, to="right@shop.example"))
    desk = Meddled(lambda letters: letters.edit("l-1", mended, "bob", "", 5.0))
    await desk.letters.take([replace(job_letter(), id="l-1")])
    assert (await desk.redelivery.replay("l-1", "ann")).problem == "it was edited by bob meanwhile: look again"
    assert await desk.ledger.take("s", 2e9, 1e9, 10) == []
    assert (await row(desk)).state == "open"


async def test_an_event_edited_while_it_is_sent_is_told_and_stays_open() -> None:
    desk = Meddled(lambda letters: letters.edit("l-1", event(id="e-9"), "bob", "", 5.0))
    await desk.letters.take([LETTER])
    problem = (await desk.redelivery.replay("l-1", "ann")).problem
    assert problem == "it was sent to activity.events as it was before, but it was edited by bob meanwhile: look again"
    assert (await row(desk)).state == "open"


async def test_a_discarded_letter_is_never_marked_as_replayed(desk: MemoryDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.letters.take([LETTER])
    assert await desk.letters.discard("l-1", "bob", "", 5.0) is None
    look = desk.letters.letter

    async def then_undone(id: str) -> LetterHistory | None:
        found = await look(id)
        await desk.letters.undo(id, "bob", "", 6.0)
        return found

    monkeypatch.setattr(desk.letters, "letter", then_undone)
    assert (await desk.redelivery.replay("l-1", "ann")).problem == "it was discarded by bob"
    monkeypatch.undo()
    assert ((await row(desk)).state, desk.sent) == ("open", [])


async def test_the_outlook_is_that_of_the_letter_as_it_stands(desk: MemoryDesk) -> None:
    await two_events(desk)
    came = []
    async for one in desk.redelivery.outlooks(desk.redelivery.open(Wanted())):
        came.append(one.problem)
        assert await desk.letters.discard("l-2", "bob", "", 5.0) is None or one.id == "l-2"
    assert came == [None, "discarded: the letter is not open"]
    assert (await desk.redelivery.outlook("l-9")).problem == MISSING
    assert desk.sent == []

"""Replaying dead letters: what is accepted goes once, what is not stays open."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from msgspec.structs import replace

from activity import names
from activity.dead import DeadLetter, from_queue
from activity.errors import SettingError, Unreachable
from activity.events import Refused, log_value
from activity.jobs import Job, decode_job, encode_job
from activity.outcomes import Dead
from activity.redelivery import Accepted
from rabbit.redelivery import Came, Redelivery
from store.deadletters import MISSING, LetterRow, Wanted
from store.ledger import Settlement
from tests.activity.test_redelivery import LETTER, event
from tests.rabbit.desks import MemoryDesk
from tests.store.orders import entry

SIGN_UP = event(type="user.signed_up", data={"email": "ann@shop.example", "name": "Ann"})
JOB = Job(
    id="5f0c6f0e-3a3c-5d0e-8f5e-0d8b7c0a9b11",
    rule="welcome",
    job_class="transactional",
    user="u-1",
    to="ann@shop.example",
    template="welcome",
    event={"id": "e-1", "source": "/web", "data": {"email": "ann@shop.example", "name": "Ann"}},
)
HEADERS = {"chopar-job": JOB.id, "chopar-attempt": 3, "chopar-reason": "spent", "chopar-key": JOB.key}


def job_letter(job: Job | bytes = JOB) -> DeadLetter:
    return from_queue(job if isinstance(job, bytes) else encode_job(job), HEADERS, "m", 5.0)


def rule_letter(raw: bytes) -> DeadLetter:
    return replace(LETTER, origin=names.LOG, reason="rule", problem="rule welcome: no", payload=log_value(raw, 1, "logged", 5.0))


@pytest.fixture
def desk() -> MemoryDesk:
    return MemoryDesk()


async def row(desk: MemoryDesk, id: str = "l-1") -> LetterRow:
    found = await desk.letters.letter(id)
    assert found is not None
    return found.letter


async def test_an_event_is_sent_then_marked(desk: MemoryDesk) -> None:
    await desk.letters.take([replace(LETTER, payload=SIGN_UP)])
    trial = await desk.redelivery.trial(await row(desk))
    assert trial == Accepted(
        ["goes to activity.events as event e-1 of u-1", "rule welcome makes a job of it", "rule also makes a job of it"]
    )
    assert desk.sent == []
    assert await desk.redelivery.replay("l-1", "ann", "why") == Came("l-1", None, trial.notes)
    assert [(again.key, again.value) for again in desk.sent] == [(b"u-1", SIGN_UP)]
    assert (await row(desk)).state == "replayed"
    assert await desk.redelivery.replay("l-1", "bob") == Came("l-1", "it was replayed by ann")
    assert await desk.redelivery.trial(await row(desk)) == Refused("replayed", "the letter is not open")
    assert len(desk.sent) == 1
    assert await desk.redelivery.replay("l-9", "ann") == Came("l-9", MISSING)


async def test_what_was_edited_is_sent(desk: MemoryDesk) -> None:
    await desk.letters.take([replace(LETTER, payload=b"{")])
    came = await desk.redelivery.replay("l-1", "ann")
    assert came.problem is not None
    assert came.problem.startswith("not-json: ")
    await desk.letters.edit("l-1", event(subject="u-2"), "ann", "", 5.0)
    assert (await desk.redelivery.replay("l-1", "ann")).problem is None
    assert [(again.key, again.value) for again in desk.sent] == [(b"u-2", event(subject="u-2"))]


async def test_what_stands_in_the_log_is_not_sent_again(desk: MemoryDesk) -> None:
    """As after a kill between sending and marking, once the event is stored."""
    await desk.letters.take([replace(LETTER, reason="too-old")])
    refused = await desk.redelivery.trial(await row(desk))
    assert isinstance(refused, Refused)
    assert refused.reason == "too-old"
    await desk.log.append([replace(entry(7, "u-1", "e-1"), source="/web")])
    assert await desk.redelivery.replay("l-1", "ann") == Came(
        "l-1", None, ["the event stands in the log at position 7: nothing is sent"]
    )
    assert desk.sent == []
    assert (await row(desk)).state == "replayed"


async def test_killed_between_sending_and_marking_it_is_open(desk: MemoryDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(Exception):
        pass

    def kill(point: str) -> None:
        assert point == "replay.sent"
        raise Killed

    monkeypatch.setattr("rabbit.redelivery.failpoint", kill)
    await desk.letters.take([LETTER])
    with pytest.raises(Killed):
        await desk.redelivery.replay("l-1", "ann")
    assert (len(desk.sent), (await row(desk)).state) == (1, "open")


async def test_while_kafka_is_away_the_letter_stays_open(desk: MemoryDesk) -> None:
    await desk.letters.take([LETTER])
    desk.away = True
    with pytest.raises(Unreachable):
        await desk.redelivery.replay("l-1", "ann")
    assert (await row(desk)).state == "open"


async def test_a_rule_makes_the_job_that_it_could_not_make(desk: MemoryDesk) -> None:
    lacking = event(type="user.signed_up", data={"name": "Ann"})
    await desk.letters.take([rule_letter(lacking)])
    came = await desk.redelivery.replay("l-1", "ann")
    assert came.problem is not None
    assert came.problem.startswith("rule: rule welcome: ")
    await desk.letters.edit("l-1", log_value(SIGN_UP, 1, "logged", 5.0), "ann", "", 5.0)
    assert (await desk.redelivery.replay("l-1", "ann")).problem is None
    (due,) = await desk.ledger.take("s", 200.0, 100.0, 10)
    assert (due.rule, due.attempt, decode_job(due.body).to) == ("welcome", 1, "ann@shop.example")
    await desk.letters.take([replace(rule_letter(SIGN_UP), id="l-2")])
    (told,) = (await desk.redelivery.replay("l-2", "ann")).notes
    assert told == f"the ledger knows job {due.id}, which is scheduled: nothing is sent"
    assert len(await desk.ledger.jobs()) == 1


async def test_a_rule_that_is_gone_or_a_record_that_is_none_makes_no_job(desk: MemoryDesk) -> None:
    await desk.letters.take([replace(rule_letter(SIGN_UP), problem="rule gone: no"), replace(rule_letter(SIGN_UP), id="l-2")])
    assert (await desk.redelivery.replay("l-1", "ann")).problem == "rule: no rule makes a job of it, gone neither"
    await desk.letters.edit("l-2", b"{}", "ann", "", 5.0)
    assert str((await desk.redelivery.replay("l-2", "ann")).problem).startswith("bad-log-record: ")


async def test_a_dead_job_gets_another_round(desk: MemoryDesk) -> None:
    letter = job_letter()
    await desk.letters.take([letter])
    await desk.ledger.settle([Settlement(JOB, 3, "a", 4.0, Dead("spent"))], 5.0)
    note = f"job {JOB.id} of rule welcome goes to email.transactional.welcome"
    assert await desk.redelivery.trial(await row(desk, letter.id)) == Accepted([note])
    assert await desk.redelivery.replay(letter.id, "ann") == Came(letter.id, None, [note])
    (due,) = await desk.ledger.take("s", 200.0, 100.0, 10)
    assert (due.id, due.attempt, decode_job(due.body)) == (JOB.id, 4, JOB)
    assert desk.sent == []


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        (replace(JOB, to="nobody"), "bad-address"),
        (replace(JOB, template="none"), "template"),
        (replace(JOB, id="a b"), "bad-job"),
        (b"{", "not-json"),
        (b"{}", "bad-job"),
        (encode_job(replace(JOB, version=9)), "unknown-version"),
    ],
)
async def test_a_job_that_would_be_dead_again_stays(desk: MemoryDesk, job: Job | bytes, reason: str) -> None:
    letter = job_letter(job)
    await desk.letters.take([letter])
    assert str((await desk.redelivery.replay(letter.id, "ann")).problem).startswith(f"{reason}: ")
    assert (await row(desk, letter.id)).state == "open"
    await desk.letters.edit(letter.id, encode_job(JOB), "ann", "", 5.0)
    assert (await desk.redelivery.replay(letter.id, "ann")).problem is None


async def test_another_task_than_mail_is_not_checked_here(desk: MemoryDesk) -> None:
    letter = job_letter(replace(JOB, task="thumbnail", to="", template=""))
    await desk.letters.take([letter])
    assert (await desk.redelivery.replay(letter.id, "ann")).problem is None


async def test_rules_and_templates_that_cannot_be_read_are_told(desk: MemoryDesk) -> None:
    def broken() -> None:
        raise SettingError("CHOPAR_RULES", "no such file")

    parts = msgspec.structs.replace(desk.redelivery._parts, rules=broken, writer=broken)
    redelivery = Redelivery(parts)
    job, rule = job_letter(), replace(rule_letter(SIGN_UP), id="l-2")
    await desk.letters.take([LETTER, job, rule])
    trials = [await redelivery.trial(await row(desk, id)) for id in ("l-1", job.id, "l-2")]
    told = "CHOPAR_RULES: no such file"
    assert trials == [
        Accepted(["goes to activity.events as event e-1 of u-1", f"the rules can't be asked: {told}"]),
        Refused("template", told),
        Refused("rule", told),
    ]


async def test_what_can_go_nowhere_is_refused(desk: MemoryDesk) -> None:
    await desk.letters.take([replace(LETTER, origin=names.DEAD), replace(LETTER, id="l-2", origin=names.LOG)])
    for id in ("l-1", "l-2"):
        assert str((await desk.redelivery.replay(id, "ann")).problem).startswith("not-replayable: ")


async def collected(came: AsyncIterator[Came]) -> list[Came]:
    return [one async for one in came]


async def test_a_group_is_replayed_oldest_first_and_begun_again_where_it_was_cut_short(desk: MemoryDesk) -> None:
    letters = [replace(LETTER, id=f"l-{n:03}", payload=event(id=f"e-{n}", sequence=None), first_seen=n + 1.0) for n in range(250)]
    await desk.letters.take(
        [*letters, replace(LETTER, id="bad", payload=b"{", first_seen=0.0), replace(LETTER, id="x", reason="x")]
    )
    wanted = Wanted(reason="not-json")
    async for one in desk.redelivery.replay_all(desk.redelivery.open(wanted), "ann"):
        if one.id == "l-120":
            break
    rest = await collected(desk.redelivery.replay_all(desk.redelivery.open(wanted), "ann"))
    assert [one.id for one in rest] == ["bad", *(letter.id for letter in letters[121:])]
    assert [again.event.id for again in desk.sent] == [f"e-{n}" for n in range(250)]
    assert (await row(desk, "x")).state == "open"


async def test_so_many_a_second(desk: MemoryDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, slept = 50.0, []

    async def sleep(seconds: float) -> None:
        nonlocal clock
        clock += seconds
        slept.append(round(seconds, 3))

    monkeypatch.setattr("rabbit.redelivery.asyncio.sleep", sleep)
    monkeypatch.setattr("rabbit.redelivery.time.monotonic", lambda: clock)
    await desk.letters.take([replace(LETTER, id=f"l-{n}", payload=event(id=f"e-{n}")) for n in range(4)])
    assert len(await collected(desk.redelivery.replay_all(desk.redelivery.open(Wanted()), "ann", "", 4.0))) == 4
    assert slept == [0.0, 0.25, 0.25, 0.25]

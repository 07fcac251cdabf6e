"""Many letters at once, by form: counted, tried, confirmed, done at a pace, looked at and stopped."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from console.pages.runs import KEPT, Run, Runs
from rabbit.redelivery import Came
from tests.activity.test_redelivery import LETTER
from tests.console.pages.showing import Read, page, showing
from tests.console.pages.test_pages import SCRIPT, check
from tests.console.serving import TOKEN
from tests.rabbit.desks import MemoryDesk

PATH = "/dead-letters/group"
GROUP = {"reason": LETTER.reason, "origin": LETTER.origin}


async def desk() -> MemoryDesk:
    """Five that would be accepted now, one that would not, and one of another reason."""
    made = MemoryDesk()
    payload = LETTER.payload or b""
    letters = [replace(LETTER, id=f"l-{n}", payload=payload.replace(b"e-1", b"e-%d" % n), first_seen=float(n)) for n in range(5)]
    broken = replace(LETTER, id="l-broken", payload=b'{"specversion": "1.0",', first_seen=9.0)
    await made.letters.take([*letters, broken, replace(LETTER, id="l-other", reason="other")])
    return made


async def post(client: Any, status: int = 200, **form: str) -> Read:
    response = await client.post(PATH, data={"by": "ann", "note": "mended", **GROUP, **form})
    text = await response.text()
    assert response.status == status, text
    read = Read(text)
    check(read)
    return read


async def states(made: MemoryDesk) -> dict[str, str]:
    found: dict[str, str] = {}
    for id in ("l-0", "l-4", "l-broken", "l-other"):
        letter = await made.letters.letter(id)
        assert letter is not None
        found[id] = letter.letter.state
    return found


async def until_ended(client: Any, read: Read) -> Read:
    """Reloads the page as a browser does."""
    async with asyncio.timeout(60):
        while "under way" in read.text:
            await asyncio.sleep(0)
            read = await page(client, read_address(read))
    return read


def read_address(read: Read) -> str:
    (run,) = {str(one["value"]) for one in read.all("input") if one.get("name") == "run"}
    return f"{PATH}?reason={GROUP['reason']}&origin={GROUP['origin']}&run={run}"


@pytest.mark.parametrize(("do", "done"), [("replay", "replayed"), ("discard", "discarded")])
async def test_a_group_is_counted_tried_confirmed_and_done(do: str, done: str) -> None:
    made = await desk()
    async with showing(None, made, token=None) as client:
        first = await page(client, f"{PATH}?reason={GROUP['reason']}&origin={GROUP['origin']}")
        check(first)
        assert "6 open letters" in first.text
        assert not [one for one in first.all("button") if one.get("value") in ("replay", "discard")], "tried first"
        tried = await post(client, do="trial")
        assert "5 would be accepted, 1 refused again" in tried.text
        assert made.sent == []
        assert {"name": "count", "type": "hidden", "value": "6"} in tried.all("input")
        begun = await post(client, do=do, count="6", per_second="1000")
        ended = await until_ended(client, begun)
        assert re.search(rf"{'5' if do == 'replay' else '6'} of 6 letters done", ended.text)
    assert len(made.sent) == (5 if do == "replay" else 0)
    assert await states(made) == {
        "l-0": done,
        "l-4": done,
        "l-broken": "open" if do == "replay" else done,
        "l-other": "open",
    }
    history = await made.letters.letter("l-0")
    assert history is not None
    assert [(one.what, one.by, one.note) for one in history.actions] == [(done, "ann", "mended")]


async def test_what_came_since_it_was_counted_is_not_done_unseen() -> None:
    made = await desk()
    async with showing(None, made, token=None) as client:
        await made.letters.take([replace(LETTER, id="l-late")])
        read = await post(client, do="discard", count="6")
        assert "There are 7 open letters now" in read.text
        assert {"name": "count", "type": "hidden", "value": "7"} in read.all("input")
        await post(client, do="discard", count="")
    assert set((await states(made)).values()) == {"open"}


async def test_it_goes_at_its_pace_and_is_stopped() -> None:
    made = await desk()
    async with showing(None, made, token=None) as client:
        begun = await post(client, do="replay", count="6", per_second="0.001")
        assert [one["content"] for one in begun.all("meta") if one.get("http-equiv") == "refresh"] == ["2"]
        other = await post(client, do="discard", count="6" if not made.sent else "5")
        assert "still at another group" in other.text
        stopped = await post(client, do="stop", run=read_address(begun).rpartition("=")[2])
        assert "somebody stopped it" in stopped.text
        assert not [one for one in stopped.all("meta") if one.get("http-equiv") == "refresh"]
    assert len(made.sent) <= 1
    assert (await states(made))["l-4"] == "open"


async def test_kafka_away_ends_it_and_the_rest_stays_open() -> None:
    made = await desk()
    made.away = True
    async with showing(None, made, token=None) as client:
        read = await until_ended(client, await post(client, do="replay", count="6"))
        assert "It ended early: CHOPAR_KAFKA_URL" in read.text
    assert set((await states(made)).values()) == {"open"}


async def test_without_the_token_it_is_only_counted() -> None:
    made = await desk()
    async with showing(None, made) as client:
        read = await page(client, f"{PATH}?reason={GROUP['reason']}")
        assert "6 open letters" in read.text
        assert "until the token is shown" in read.text
        assert (await client.post(PATH, data={"do": "discard", "by": "ann", "count": "6", **GROUP})).status == 401
        await page(client, f"{PATH}?text=secret", 401)
        await client.post("/session", data={"token": TOKEN, "back": PATH}, allow_redirects=False)
        assert "Dry run" in (await page(client, f"{PATH}?text=e-1")).text


async def test_what_is_wrong_in_the_form_is_named() -> None:
    async with showing(None, await desk(), token=None) as client:
        for form, field in (
            ({"do": "replay", "by": " "}, "by"),
            ({"do": "replay", "per_second": "fast"}, "per_second"),
            ({"do": "replay", "per_second": "nan"}, "per_second"),
            ({"do": "replay", "note": "n" * 1001}, "note"),
            ({"do": "edit"}, "do"),
        ):
            assert f"({field})" in (await post(client, 400, **form)).text
        unknown = await page(client, f"{PATH}?run=nothing&reason=%3Cscript%3E&user={SCRIPT}")
        check(unknown)
        assert "not known to this worker" in unknown.text


async def test_a_fault_of_ours_is_said_to_be_one_and_old_runs_are_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    async def faulty() -> AsyncIterator[Came]:
        yield Came("l-1")
        raise ZeroDivisionError

    runs, ids = Runs(), list[str]()
    for _ in range(KEPT + 1):
        run = Run("replay", "ann", 1)
        id = runs.start(run, faulty())
        assert id is not None
        ids.append(id)
        async with asyncio.timeout(60):
            while not runs.idle:  # noqa: ASYNC110  (a step of its task, no time)
                await asyncio.sleep(0)
        assert (run.done, run.ended, run.failure) == (1, True, "this is a fault of ours; the log of the worker says more")
    assert "ended" in caplog.text
    assert [runs.get(id) is None for id in ids[:2]] == [True, False]

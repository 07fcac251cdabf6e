"""Pages as they come: whatever is in the data stays data, nothing is loaded from elsewhere, and masked means masked."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from activity.dead import DeadLetter
from activity.ledger import AttemptRow, JobHistory
from activity.names import DEAD_QUEUE
from activity.outcomes import Dead, Unknown
from console.pages import overview
from console.pages.rendering import quoted, rate, runs
from console.pages.snapshot import Snapshot
from console.tables import Share
from store.deadletters import LetterGroup
from tests.activity.test_redelivery import LETTER
from tests.console.pages.showing import MAILER, WELL, Read, page, reader, showing
from tests.console.serving import TOKEN, bearer
from tests.console.worlds import ADDRESS, TRACE, USER, World
from tests.rabbit.desks import MemoryDesk
from tests.store.fakes import MemoryLedger

SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
ID = 'x"><script>alert(1)</script>'
LETTERS: list[DeadLetter] = [
    replace(
        LETTER, id=ID, reason=SCRIPT, problem=SCRIPT, user=SCRIPT, key=SCRIPT.encode(), job=ID, origin=SCRIPT,
        headers=[(SCRIPT, SCRIPT.encode())], payload=f"</textarea>{SCRIPT}".encode(),
    ),
    LETTER,
]  # fmt: skip
assert WELL.books is not None
HOSTILE: Snapshot = replace(
    WELL,
    readers=[replace(reader("sequencer", SCRIPT, SCRIPT), state=SCRIPT)],
    mailers=[replace(MAILER, mailer=SCRIPT, paused=True)],
    shares=[Share(SCRIPT, (0,), here=True)],
    books=replace(WELL.books, groups=[LetterGroup(SCRIPT, SCRIPT, 1, 0, 0, 1.0, 2.0)]),
    problems={"kafka": SCRIPT},
)


async def hostile() -> tuple[World, MemoryDesk]:
    world, desk = World(SCRIPT), MemoryDesk()
    entry = await world.logged(1, source=SCRIPT, sequence="1", data={"email": ADDRESS, SCRIPT: SCRIPT}, traceparent=TRACE)
    await world.attempted(entry, Dead(SCRIPT, SCRIPT))
    await world.logged(2, SCRIPT)
    await desk.letters.take(LETTERS)
    await desk.letters.edit(ID, SCRIPT.encode(), SCRIPT, SCRIPT, 5.0)
    return world, desk


def check(read: Read) -> None:
    """What holds for every page."""
    assert [one.get("src") for one in read.all("script")] in ([], ["/assets/live.js"])
    assert read.all("style") == []
    assert read.all("img") == []
    assert read.all("html") == [{"lang": "en"}]
    assert len(read.all("h1")) == len(read.all("title")) == 1
    for _, attributes in read.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("href", "src", "action", "data-source"):
            assert name not in attributes or str(attributes[name]).startswith(("/", "#", "data:,")), attributes
    named = {one["id"] for _, one in read.tags if "id" in one}
    assert {one["for"] for one in read.all("label")} <= named
    for field in (*read.all("input"), *read.all("textarea")):
        assert (
            field.get("type") == "hidden" or "aria-label" in field or field.get("id") in {one["for"] for one in read.all("label")}
        )


@pytest.mark.parametrize("token", [TOKEN, "", None])
async def test_data_never_becomes_markup(token: str | None) -> None:
    world, desk = await hostile()
    (job,) = await world.ledger.jobs()
    headers = bearer() if token else {}
    async with showing(world, desk, HOSTILE, None if token is None else TOKEN) as client:
        for path in (
            "/",
            "/brokers",
            "/jobs",
            f"/jobs/{job.id}",
            "/dead-letters",
            "/dead-letters?state=open&reason=" + "%3Cscript%3E",
        ):
            check(await page(client, path, headers=headers))
        read = await page(client, "/", headers=headers)
        assert SCRIPT in read.text
        for link in {str(one["href"]) for one in (await page(client, "/dead-letters", headers=headers)).all("a")}:
            if link.startswith(("/dead-letters", "/users/")):
                check(await page(client, link, headers=headers))
        check(await page(client, "/nothing<script>", 404))


async def test_a_timeline_tells_the_whole_story() -> None:
    world = World()
    await world.told()
    async with showing(world) as client:
        read = await page(client, "/users/u%2F1%20%C3%A9", headers=bearer())
        check(read)
        for words in (
            USER,
            "451 later",
            f"250 queued for <{ADDRESS}>",
            "550",
            "4111",
            TRACE.split("-")[1],
            "1 event wait",
            "no mail",
        ):
            assert words in read.text, words
        assert [one["id"] for one in read.all("li") if str(one.get("id", "")).startswith("p")] == ["p3", "p2", "p1"]
        hidden = await page(client, "/users/u%2F1%20%C3%A9")
        assert ADDRESS not in hidden.text
        assert "4111" not in hidden.text
        assert "a***@shop.example" in hidden.text
        response = await client.get("/users", params={"id": f" {USER} "}, allow_redirects=False)
        assert (response.status, response.headers["Location"]) == (303, "/users/u%2F1%20%C3%A9")


async def test_a_timeline_leads_to_the_desk_and_runs_nothing_of_what_was_refused() -> None:
    world = World()
    job = await world.attempted(await world.logged(1), Dead("no-such-user"))
    await world.letters.take([
        replace(LETTER, id=ID, reason=SCRIPT, problem=SCRIPT, user=USER, job=ID, origin=SCRIPT, first_seen=9.0),
        replace(LETTER, id="l-2", user=USER, job=job.id, first_seen=8.0),
    ])  # fmt: skip
    assert await world.letters.discard(ID, SCRIPT, SCRIPT, 10.0) is None
    async with showing(world) as client:
        read = await page(client, "/users/u%2F1%20%C3%A9", headers=bearer())
        check(read)
        assert read.text.count(SCRIPT) >= 4
        links = [one["href"] for one in read.all("a")]
        assert (links.count(f"/dead-letters/{quoted(ID)}"), links.count("/dead-letters/l-2")) == (1, 2)


async def test_the_overview_is_streamed_as_it_changes() -> None:
    async with showing() as client:
        response = await client.get("/live")
        assert response.content_type == "text/event-stream"
        line = await response.content.readline()
        fresh = Read(msgspec.json.decode(line.removeprefix(b"data: ")))
        assert "All is well" in fresh.text
        live = [one["id"] for _, one in fresh.tags if "data-live" in one]
        assert live == ["verdict", "flow", "agents", "workers", "pool", "audit"]
        assert [one["id"] for _, one in (await page(client, "/")).tags if "data-live" in one] == live
        response.close()


async def test_assets_come_from_here() -> None:
    async with showing() as client:
        for name, media_type in (("style.css", "text/css"), ("live.js", "text/javascript")):
            response = await client.get(f"/assets/{name}")
            assert (response.status, response.content_type) == (200, media_type)
            assert "http" not in (text := await response.text()), text
        assert (await client.get("/assets/../server.py")).status == 404


async def desk_client_token(client: Any) -> None:
    response = await client.post("/session", data={"token": TOKEN, "back": "/dead-letters"}, allow_redirects=False)
    assert response.status == 303, await response.text()


async def test_a_letter_is_edited_tried_and_replayed_by_form() -> None:
    desk = MemoryDesk()
    await desk.letters.take([replace(LETTER, payload=b'{"specversion": "1.0",')])
    async with showing(None, desk) as client:
        path, fixed = "/dead-letters/l-1", LETTER.payload.decode() if LETTER.payload else ""
        refused = await client.post(path, data={"do": "discard", "by": "ann"})
        assert refused.status == 401
        assert refused.content_type == "text/html"
        assert "hidden" in (await page(client, path)).text
        await desk_client_token(client)

        async def act(**form: str) -> Read:
            response = await client.post(path, data={"by": "ann", "note": "n", **form})
            assert response.status == 200, await response.text()
            return Read(await response.text())

        assert "It would be refused again" in (await act(do="trial")).text
        assert "It would be accepted" in (await act(do="trial", payload=fixed)).text
        assert "save the edit first" in (await act(do="replay", payload=fixed)).text
        assert desk.sent == []
        assert "The edit is saved" in (await act(do="edit", payload=fixed.replace("\n", "\r\n"))).text
        assert "nothing is changed" in (await act(do="edit")).text
        assert "It was sent again" in (await act(do="replay")).text
        assert "replayed" in (await act(do="replay")).text
        assert len(desk.sent) == 1
        done = await page(client, path)
        assert [word for word in ("edited", "replayed", "ann") if word not in done.text] == []
        other = await client.post(path, data={"do": "replay", "by": "ann"}, headers={"Origin": "https://evil.example"})
        assert other.status == 403


async def test_a_letter_is_discarded_and_opened_again_by_form() -> None:
    desk = MemoryDesk()
    await desk.letters.take([LETTER, replace(LETTER, id="l-2", payload=b"\xff", origin=DEAD_QUEUE)])
    async with showing(None, desk, token=None) as client:
        for do, state in (("discard", "discarded"), ("undo", "open")):
            response = await client.post("/dead-letters/l-1", data={"do": do, "by": "ann"})
            assert response.status == 200
            found = await desk.letters.letter("l-1")
            assert found is not None
            assert found.letter.state == state
        assert "is no text" in (await page(client, "/dead-letters/l-2")).text
        for form, field in (
            ({"do": "replay"}, "by"),
            ({"do": "shout", "by": "a"}, "do"),
            ({"do": "edit", "by": "a" * 101}, "by"),
        ):
            response = await client.post("/dead-letters/l-1", data=form)
            assert (response.status, f"({field})" in await response.text()) == (400, True)
        await page(client, "/dead-letters/none", 404)
        await page(client, "/dead-letters?cursor=none", 400)
        await page(client, "/jobs/none", 404)


async def test_letters_come_by_page_and_are_searched_with_the_token() -> None:
    desk = MemoryDesk()
    await desk.letters.take([replace(LETTER, id=f"l-{n}", first_seen=float(n)) for n in range(60)])
    async with showing(None, desk) as client:
        first = await page(client, "/dead-letters?state=open&user=")
        assert [one for one in first.all("a") if one.get("rel") == "next"] == [
            {"rel": "next", "href": "/dead-letters?state=open&cursor=l-10"}
        ]
        assert "l-9" in (await page(client, "/dead-letters?state=open&cursor=l-10")).text
        await page(client, "/dead-letters?text=e-1", 401)
        assert "l-59" in (await page(client, "/dead-letters?text=e-1", headers=bearer())).text


def test_numbers_for_people() -> None:
    assert [rate(one) for one in (None, 0, 0.25, 12.4, 2000)] == ["-", "0/s", "0.2/s", "12/s", "2,000/s"]
    assert [runs(one) for one in ([], [3], [0, 1, 2, 5, 7, 6])] == ["-", "3", "0-2, 5-7"]


async def test_an_attempt_at_a_mail_is_masked_too() -> None:
    world = World()
    await world.told()
    found: list[JobHistory] = [one for job in await world.ledger.jobs() if (one := await world.ledger.job(job.id))]
    rows: list[AttemptRow] = [row for one in found for row in one.attempts]
    assert rows
    async with showing(world) as client:
        for one in found:
            path = f"/jobs/{one.job.id}"
            assert ADDRESS not in (await page(client, path)).text
            assert ADDRESS in (await page(client, path, headers=bearer())).text


async def test_a_mail_that_is_unknown_is_decided_by_form() -> None:
    world = World()
    world.ledger = MemoryLedger("hold")
    job = await world.attempted(await world.logged(1), Unknown("lost"))
    async with showing(world) as client:
        path = f"/jobs/{job.id}"
        hidden = await page(client, path)
        assert "Message-ID begins with" in hidden.text
        assert not hidden.all("textarea") + [one for one in hidden.all("button") if one.get("name") == "do"]
        assert (await client.post(path, data={"do": "arrived", "by": "ann"})).status == 401
        await desk_client_token(client)
        check(await page(client, path))
        for form, field in (({"do": "arrived", "by": ""}, "by"), ({"do": "shout", "by": "ann"}, "do")):
            response = await client.post(path, data=form)
            assert (response.status, f"({field})" in await response.text()) == (400, True)
        response = await client.post(path, data={"do": "arrived", "by": SCRIPT, "note": SCRIPT})
        read = Read(await response.text())
        check(read)
        assert f"{SCRIPT} says that it arrived: {SCRIPT}" in read.text
        response = await client.post(path, data={"do": "again", "by": "ann"})
        assert "can't be decided so: it is sent" in await response.text()
        assert (await client.post("/jobs/none", data={"do": "again", "by": "ann"})).status == 404


@pytest.mark.parametrize(
    ("trace_url", "links"),
    [
        (None, []),
        (
            "https://traces.example/{trace_id}?a=\"'<script>",
            ["https://traces.example/4bf92f3577b34da6a3ce929d0e0e4736?a=\"'<script>"],
        ),
    ],
)
async def test_a_trace_leads_to_where_traces_are_shown(trace_url: str | None, links: list[str]) -> None:
    world = World()
    await world.logged(1, traceparent=TRACE)
    async with showing(world, trace_url=trace_url) as client:
        read = await page(client, f"/users/{quoted(USER)}", headers=bearer())
    assert [one["href"] for one in read.all("a") if str(one["href"]).startswith("https:")] == links
    assert TRACE.split("-")[1] in read.text
    assert read.all("script") == []


async def test_only_so_many_look_at_it_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "MOST_LOOKERS", 2)
    async with showing() as client:
        looking = [await client.get("/live") for _ in range(2)]
        events = [await one.content.readline() for one in looking]
        assert events[0].startswith(b"data: ")
        refused = await client.get("/live")
        assert (refused.status, refused.headers["Retry-After"]) == (503, "15")
        assert (await client.head("/live")).status == 200  # and ends
        for one in looking:
            one.close()

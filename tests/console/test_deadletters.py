"""The dead-letter desk over HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from activity.errors import Mismatch
from activity.redelivery import Again
from console.deadletters import letter_routes
from tests.activity.test_redelivery import LETTER, event
from tests.console.serving import TOKEN, bearer, problem, serving
from tests.rabbit.desks import MemoryDesk

SCRIPT = "<script>alert(1)</script>"
PATH = "/api/dead-letters"


@pytest.fixture
async def desk() -> MemoryDesk:
    """Two letters about ann, one of them with bytes that are no text."""
    desk = MemoryDesk()
    odd = replace(LETTER, id="l-2", reason="not-utf8", payload=b"\xff", first_seen=2.0, problem=f"ann@shop.example {SCRIPT}")
    await desk.letters.take([LETTER, odd])
    return desk


@pytest.fixture
async def client(desk: MemoryDesk) -> AsyncIterator[Any]:
    async with serving(letter_routes(desk.letters, desk.letters, desk.redelivery), TOKEN) as client:
        yield client


async def got(client: Any, path: str, *, shown: bool = True) -> Any:
    response = await client.get(PATH + path, headers=bearer() if shown else {})
    assert response.status == 200, await response.text()
    return await response.json()


async def post(client: Any, path: str, **body: Any) -> Any:
    return await client.post(PATH + path, json=body, headers=bearer())


async def test_letters_are_listed_by_page_and_grouped(client: Any) -> None:
    first = await got(client, "?limit=1")
    assert [letter["id"] for letter in first["letters"]] == ["l-2"]
    second = await got(client, f"?limit=1&cursor={first['next']}")
    assert [letter["id"] for letter in second["letters"]] == ["l-1"]
    assert (await got(client, f"?limit=5&cursor={first['next']}"))["next"] is None
    assert [letter["id"] for letter in (await got(client, "?reason=not-json&state=open&since=0.5"))["letters"]] == ["l-1"]
    assert [letter["id"] for letter in (await got(client, "?text=e-1"))["letters"]] == ["l-1"]
    groups = (await got(client, "/groups"))["groups"]
    assert [(one["reason"], one["open"], one["first"]) for one in groups] == [
        ("not-json", 1, "1970-01-01T00:00:01.000Z"),
        ("not-utf8", 1, "1970-01-01T00:00:02.000Z"),
    ]


async def test_a_letter_has_its_bytes_as_text_where_they_are_text(client: Any) -> None:
    letter, odd = await got(client, "/l-1"), await got(client, "/l-2")
    assert (letter["key"], letter["payload"]) == ({"text": "u-1"}, {"text": event().decode()})
    assert odd["payload"] == {"base64": "/w=="}
    assert ["a", {"text": "1"}] in letter["headers"]
    assert (letter["masked"], odd["problem"]) == (False, f"ann@shop.example {SCRIPT}")


async def test_without_the_token_payloads_and_addresses_are_hidden(client: Any, desk: MemoryDesk) -> None:
    for path in ("", "/l-1", "/l-2"):
        told = msgspec.json.encode(await got(client, path, shown=False)).decode()
        assert "/web" not in told
        assert "ann@shop" not in told
        assert '"masked":true' in told
    for path in ("?text=e-1", "/l-1/trial"):
        assert (await client.get(PATH + path)).status == 401
    await desk.letters.take([replace(LETTER, id="l-3", reason="rule", problem="rule welcome: card 4111 is no time")])
    await desk.letters.discard("l-3", "bob.smith@corp.example", "told by cy@corp.example", 1.0)
    for path in ("", "/l-3"):
        assert "4111" not in msgspec.json.encode(await got(client, path, shown=False)).decode()
    (action,) = (await got(client, "/l-3", shown=False))["actions"]
    assert (action["by"], action["note"]) == ("b***@corp.example", "told by c***@corp.example")
    for path in ("/replay", "/l-1/replay", "/l-1/discard", "/l-1/undo", "/l-1/edit"):
        response = await client.post(PATH + path, json={})
        assert (await problem(response))[:2] == (401, "Authorization")


async def test_it_is_edited_tried_and_replayed_once(client: Any, desk: MemoryDesk) -> None:
    verdict = await got(client, "/l-2/trial")
    assert (verdict["accepted"], verdict["problem"].split(":")[0]) == (False, "not-utf8")
    assert (await problem(await post(client, "/l-2/replay", by="ann")))[0] == 409
    edited = await (await post(client, "/l-2/edit", payload=event(id="e-2").decode(), by="ann", note="typo")).json()
    assert edited["edited"] == {"text": event(id="e-2").decode()}
    assert '+  "id": "e-2",' in edited["difference"]
    assert edited["payload"] == {"base64": "/w=="}
    assert (await got(client, "/l-2/trial"))["accepted"]
    came = await (await post(client, "/l-2/replay", by="bob", note="mended")).json()
    assert (came["id"], came["problem"]) == ("l-2", None)
    assert await problem(await post(client, "/l-2/replay")) == (409, "id", "it was replayed by bob")
    assert [again.event.id for again in desk.sent] == ["e-2"]
    actions = [(one["what"], one["by"], one["note"]) for one in (await got(client, "/l-2"))["actions"]]
    assert actions == [("edited", "ann", "typo"), ("replayed", "bob", "mended")]


async def test_the_second_of_two_editors_is_told(client: Any, desk: MemoryDesk) -> None:
    assert (await post(client, "/l-1/edit", payload="A", by="ann", seen=0)).status == 200
    status, field, detail = await problem(await post(client, "/l-1/edit", payload="B", by="bob", seen=0))
    assert (status, field, detail) == (409, "id", "it was edited by ann meanwhile: look again")
    seen = len((await got(client, "/l-1"))["actions"])
    assert (await post(client, "/l-1/edit", payload="B", by="bob", seen=seen)).status == 200
    assert (await post(client, "/l-1/edit", payload="B", seen=-1)).status == 400


async def test_an_edit_is_taken_back(client: Any) -> None:
    await post(client, "/l-1/edit", payload="{}")
    assert (await (await post(client, "/l-1/edit", payload=None)).json())["edited"] is None


async def test_it_is_discarded_and_opened_again(client: Any) -> None:
    assert (await (await post(client, "/l-1/discard", by="ann", note="spam")).json())["state"] == "discarded"
    assert (await problem(await post(client, "/l-1/discard")))[2] == "it was discarded by ann"
    assert (await (await post(client, "/l-1/undo")).json())["state"] == "open"
    assert (await problem(await post(client, "/l-1/undo")))[0] == 409


async def test_a_group_is_tried_then_replayed_line_by_line(client: Any, desk: MemoryDesk) -> None:
    tried = await (await post(client, "/replay", dry_run=True)).text()
    assert [msgspec.json.decode(line)["id"] for line in tried.splitlines()] == ["l-1", "l-2"]
    assert desk.sent == []
    response = await post(client, "/replay", by="ann", per_second=1000.0)
    assert response.content_type == "application/x-ndjson"
    came = [msgspec.json.decode(line) for line in (await response.text()).splitlines()]
    assert [(one["id"], one["problem"] is None) for one in came] == [("l-1", True), ("l-2", False)]
    assert await (await post(client, "/replay", reason="not-json")).text() == ""
    assert len(desk.sent) == 1


async def test_a_group_that_ends_too_early_says_so(client: Any, desk: MemoryDesk) -> None:
    desk.away = True
    (line,) = (await (await post(client, "/replay")).text()).splitlines()
    came = msgspec.json.decode(line)
    assert came["id"] == ""
    assert came["problem"].startswith("CHOPAR_KAFKA_URL: no answer")


@pytest.mark.parametrize("error", [Mismatch("topics do not fit"), ValueError("a fault")])
async def test_a_group_that_fails_halfway_says_so_in_a_line(error: Exception) -> None:
    class Failing(MemoryDesk):
        def _sender(self) -> Callable[[Again], Awaitable[None]]:
            async def send(again: Again) -> None:
                if self.sent:
                    raise error
                self.sent.append(again)

            return send

    desk = Failing()
    await desk.letters.take([replace(LETTER, id=f"l-{n}", payload=event(id=f"e-{n}"), first_seen=float(n)) for n in range(3)])
    async with serving(letter_routes(desk.letters, desk.letters, desk.redelivery), TOKEN) as client:
        lines = [msgspec.json.decode(line) for line in (await (await post(client, "/replay")).text()).splitlines()]
    assert [(one["id"], one["problem"]) for one in lines[:1]] == [("l-0", None)]
    assert lines[1]["id"] == ""
    assert ("topics" in lines[1]["problem"]) == isinstance(error, Mismatch)
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("path", "field"),
    [("?cursor=l-9", "cursor"), ("?limit=0", "limit"), ("?state=lost", "state"), ("?since=-1", "since"), ("?text=", "text")],
)
async def test_a_wrong_parameter_is_named(client: Any, path: str, field: str) -> None:
    response = await client.get(PATH + path, headers=bearer())
    assert (await problem(response))[:2] == (400, field)


async def test_what_is_not_there_is_404(client: Any) -> None:
    for path in ("/l-9", "/l-9/trial"):
        assert (await problem(await client.get(PATH + path, headers=bearer())))[0] == 404
    for path in ("/l-9/replay", "/l-9/discard", "/l-9/undo"):
        assert (await problem(await post(client, path)))[0] == 404
    assert (await problem(await post(client, "/l-9/edit", payload="")))[0] == 404
    assert (await problem(await post(client, "/l-1/edit", payload="", by="")))[:2] == (400, "by")

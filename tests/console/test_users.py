"""What is told about a user: the timeline and the activity log."""

from typing import Any
from urllib.parse import quote

import pytest

from activity.dead import DeadLetter
from activity.events import rfc3339
from activity.outcomes import Dead
from console import activity
from console.cursors import write_cursor
from tests.console.serving import TOKEN, bearer, problem, serving
from tests.console.worlds import ADDRESS, USER, World, text_of

PATH = f"/api/users/{quote(USER, safe='')}"
HOSTILE = "<script>alert(1)</script>\"'&"


async def get(client: Any, path: str, **headers: str) -> Any:
    answer = await client.get(path, headers=headers)
    assert answer.status == 200, await answer.text()
    return await answer.json()


async def test_why_a_user_got_a_mail_and_why_not() -> None:
    world = World()
    job = await world.told()
    async with serving(world.routes()) as client:
        told = await get(client, f"{PATH}/timeline")
    assert (told["user"], told["next"], told["duplicates"], told["problems"], told["masked"]) == (USER, None, 1, [], False)
    assert [held["why"] for held in told["waiting"]] == ["2 has not come"]
    viewed, placed, signed_up = told["entries"]
    assert [one["position"] for one in told["entries"]] == [3, 2, 1]
    assert {one["rule"]: one["job"] for one in viewed["rules"]} == {"welcome": None, "receipt": None, "news": None}
    assert viewed["rules"][0]["why"] == "it is for events of type user.signed_up, this one is page.viewed"
    assert viewed["rules"][2]["why"] == "data has no address"
    welcome = signed_up["rules"][0]["job"]
    assert (welcome["id"], welcome["state"], welcome["to"]) == (job.id, "sent", ADDRESS)
    assert [one["words"] for one in welcome["attempts"]] == ["451 later", f"250 queued for <{ADDRESS}>"]
    assert signed_up["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    dead = next(one["job"] for one in placed["rules"] if one["rule"] == "receipt")
    assert dead["says"] == f"given up after attempt 1 (no-such-user): 550 <{ADDRESS}>: who?"
    assert placed["data"] == {"email": ADDRESS, "card": "4111"}


async def test_without_the_token_no_payload_and_no_whole_address_is_told() -> None:
    world = World()
    job = await world.told()
    async with serving(world.routes(), TOKEN) as client:
        for path in (f"{PATH}/timeline", f"{PATH}/activity", "/api/jobs", f"/api/jobs/{job.id}"):
            masked = await get(client, path)
            assert masked["masked"] is True
            assert "ann.secret" not in text_of(masked), path
            assert "4111" not in text_of(masked), path
            shown = await get(client, path, **bearer())
            assert shown["masked"] is False
            assert ADDRESS in text_of(shown), path
        timeline = await get(client, f"{PATH}/timeline")
    assert (
        timeline["entries"][0]["rules"][2]["why"]
        == "something in the event's data keeps it from making a job; the token shows what"
    )
    assert timeline["entries"][2]["rules"][0]["job"]["attempts"][1]["words"] == "250 queued for <a***@shop.example>"


def letter(id: str, died: float, **changes: Any) -> DeadLetter:
    known = {"broker": "kafka", "origin": "activity.events", "reason": "not-json", "problem": f"near <{ADDRESS}>", "user": USER}
    return DeadLetter(id=id, first_seen=died, **{**known, **changes})


async def test_what_was_refused_stands_among_the_events_with_what_the_desk_did() -> None:
    """One that was refused between two events and is replayed, the letter of a dead job, one of somebody else."""
    world = World()
    await world.logged(1, at=10.0)
    job = await world.attempted(await world.logged(2, "order.placed", at=20.0), Dead("no-such-user"))
    dead = letter("l-2", 21.0, broker="rabbitmq", origin="email.transactional", reason="no-such-user", job=job.id)
    await world.letters.take([letter("l-1", 15.0, payload=b"5500", partition=3, offset=7), dead, letter("l-3", 1.0, user="u-2")])
    assert await world.letters.replayed("l-1", "ann", f"asked {ADDRESS}", 30.0) is None
    async with serving(world.routes(), TOKEN) as client:
        told = await get(client, f"{PATH}/timeline", **bearer())
        masked = await get(client, f"{PATH}/timeline")
        early = await get(client, f"{PATH}/timeline?as_of=1970-01-01T00:00:15Z", **bearer())
        late = await get(client, f"{PATH}/timeline?from=1970-01-01T00:00:20Z&to=1970-01-01T00:00:21Z", **bearer())
        typed = await get(client, f"{PATH}/timeline?type=order.placed", **bearer())
    assert names_of(told) == ["l-2", 2, "l-1", 1]
    assert [names_of(one) for one in (early, late, typed)] == [["l-1", 1], [2], [2]]
    given_up, placed, refused, _ = told["entries"]
    assert (given_up["kind"], given_up["job"], given_up["says"]) == (
        "letter",
        job.id,
        "a mail was given up; it waits at the desk for a person",
    )
    assert [one["job"]["letter"] for one in placed["rules"] if one["job"]] == ["l-2"]
    assert refused["says"] == "an event was refused and is not in the log; replayed by ann"
    assert (refused["partition"], refused["offset"], refused["problem"]) == (3, 7, f"near <{ADDRESS}>")
    action = {"what": "replayed", "by": "ann", "at": rfc3339(30.0), "note": f"asked {ADDRESS}"}
    assert refused["actions"] == [action]
    assert masked["entries"][2]["problem"] == "near <a***@shop.example>"
    assert masked["entries"][2]["actions"] == [{**action, "note": "asked a***@shop.example"}]
    assert "5500" not in text_of(told)


async def test_pages_of_events_and_letters_have_each_once() -> None:
    world = World()
    for number in range(1, 16):
        await world.logged(number, at=float(number))
        await world.letters.take([letter(f"l-{number:02}-{twin}", float(number)) for twin in range(number % 3)])
    async with serving(world.routes()) as client:
        wanted = names_of(await get(client, f"{PATH}/timeline?limit=500"))
        assert len(set(wanted)) == len(wanted) == 30
        for limit in (1, 2, 7, 30):
            found, place = [], ""
            while True:
                page = await get(client, f"{PATH}/timeline?limit={limit}{place}")
                found += names_of(page)
                if page["next"] is None:
                    break
                place = f"&cursor={page['next']}"
            assert found == wanted, limit


def names_of(told: Any) -> list[Any]:
    """Positions of events, ids of letters."""
    return [one.get("position") or one["id"] for one in told["entries"]]


async def test_what_can_not_be_asked_is_said_and_the_rest_is_told() -> None:
    world = World()
    await world.told()
    world.broken = True
    async with serving(world.routes()) as client:
        told = await get(client, f"{PATH}/timeline")
    assert (told["waiting"], told["duplicates"], len(told["problems"])) == (None, None, 2)
    assert "rules.toml: is no TOML" in told["problems"][0]
    assert told["problems"][1].endswith("partitions are moving")
    assert [[one["rule"] for one in event["rules"]] for event in told["entries"]] == [[], ["receipt"], ["welcome"]]


async def test_a_user_of_whom_nothing_is_known() -> None:
    async with serving(World().routes()) as client:
        told = await get(client, "/api/users/nobody/timeline")
    assert (told["entries"], told["waiting"], told["duplicates"], told["problems"]) == ([], [], 0, [])


@pytest.mark.parametrize("what", ["timeline", "activity"])
async def test_page_by_page_each_event_once(what: str) -> None:
    world = World()
    for position in range(1, 121):
        await world.logged(position, "a" if position % 2 else "b")
    entries, following, name = ("entries", "next", "cursor") if what == "timeline" else ("events", "before", "before")
    async with serving(world.routes()) as client:
        for query, wanted in (
            ("limit=7", range(120, 0, -1)),
            ("limit=60", range(120, 0, -1)),
            ("limit=9&type=a", range(119, 0, -2)),
        ):
            found, place = list[int](), ""
            while True:
                page = await get(client, f"{PATH}/{what}?{query}{place}")
                found += [one["position"] for one in page[entries]]
                if page[following] is None:
                    break
                place = f"&{name}={page[following]}"
            assert found == list(wanted)


async def test_a_page_ends_early_where_events_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "LARGEST_PAGE", 10_000)
    world = World()
    for position in range(1, 9):
        await world.logged(position, data="x" * 4000)
    async with serving(world.routes()) as client:
        page = await get(client, f"{PATH}/activity")
        assert ([one["position"] for one in page["events"]], page["before"]) == ([8, 7, 6], 6)
        page = await get(client, f"{PATH}/activity?before=4")
        assert ([one["position"] for one in page["events"]], page["before"]) == ([3, 2, 1], None)


async def test_filters_by_time_and_the_log_as_it_was() -> None:
    world = World()
    for position, at in enumerate([10.0, 20.0, 15.0, 30.0], 1):
        await world.logged(position, at=at)

    async with serving(world.routes()) as client:

        async def positions(query: str) -> list[int]:
            return [one["position"] for one in (await get(client, f"{PATH}/activity?{query}"))["events"]]

        assert await positions(f"from={rfc3339(15)}&to={rfc3339(30)}") == [3, 2]
        assert await positions(f"as_of={rfc3339(15)}") == [1]
        assert await positions(f"as_of={rfc3339(20)}") == [3, 2, 1]
        assert await positions("from=1970-01-01T05:00:30%2B05:00") == [4]
        assert await positions("as_of=15") == [1]
        assert await positions("as_of=0001-01-01T00:00:00%2B23:59") == []
        assert await positions("to=9999-12-31T23:59:59-23:59&as_of=9999-12-31T23:59:59-23:59") == [4, 3, 2, 1]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("before=0", "before"),
        ("before=x", "before"),
        ("before=null", "before"),
        ("from=null", "from"),
        (f"before={2**63}", "before"),
        ("from=yesterday", "from"),
        ("to=2026-01-31T09:30:00", "to"),
        ("as_of=soon", "as_of"),
        ("since=2026-01-31T09:30:00Z", "since"),
        ("type=", "type"),
    ],
)
@pytest.mark.parametrize("what", ["timeline", "activity"])
async def test_a_wrong_parameter_is_named(what: str, query: str, field: str) -> None:
    async with serving(World().routes()) as client:
        assert (await problem(await client.get(f"{PATH}/{what}?{query}")))[:2] == (400, field)


@pytest.mark.parametrize("cursor", ["7", "a", write_cursor({"event": 2**63}), write_cursor({"letter": "l-1"})])
async def test_a_cursor_of_nobody_is_a_wrong_parameter(cursor: str) -> None:
    async with serving(World().routes()) as client:
        assert (await problem(await client.get(f"{PATH}/timeline?cursor={cursor}")))[:2] == (400, "cursor")


async def test_script_in_each_field_stays_text() -> None:
    """JSON that no browser takes for a page: its type says so, nosniff holds it to that, and no script may run anyway."""
    world = World(HOSTILE)
    entry = await world.logged(
        1, HOSTILE, source=HOSTILE, sequence="1", time="2026-01-31T09:30:00Z", traceparent=HOSTILE, data={HOSTILE: HOSTILE}
    )
    path = f"/api/users/{quote(HOSTILE, safe='')}"
    async with serving(world.routes()) as client:
        for address in (
            f"{path}/timeline",
            f"{path}/activity",
            f"/api/jobs/{quote(HOSTILE, safe='')}",
            f"/api/jobs?state={quote(HOSTILE)}",
        ):
            answer = await client.get(address)
            assert answer.content_type in ("application/json", "application/problem+json")
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        (event,) = (await get(client, f"{path}/timeline"))["entries"]
        assert (event["type"], event["source"], event["data"], event["trace_id"]) == (HOSTILE, HOSTILE, {HOSTILE: HOSTILE}, None)
        assert event["id"] == entry.event_id

"""What every request goes through, whatever answers it."""

import io
import logging
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from activity.errors import Mismatch, Unreachable
from console.access import COOKIE, SESSION, Access
from console.problems import Problem, later
from console.routes import Call, Endpoint, Limit, NoQuery, Page
from console.server import LARGEST_BODY, create_application
from console.session import session_routes
from tests.console.serving import TOKEN, bearer, problem, serving


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    limit: Limit = 50
    begin: str | None = msgspec.field(default=None, name="from")


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str


class Seen(msgspec.Struct, frozen=True):
    limit: int
    begin: str | None
    trusted: bool


async def look(call: Call[Wanted, None]) -> Seen:
    return Seen(call.query.limit, call.query.begin, call.trusted)


async def note(call: Call[NoQuery, Note]) -> Note:
    return call.body


LOOK = Endpoint("/api/look", look, "Look.", Seen, query=Wanted)
NOTE = Endpoint("/api/note", note, "Note.", Note, method="POST", body=Note, changes=True)


async def test_parameters_are_read_by_the_endpoints_own_words() -> None:
    async with serving([LOOK]) as client:
        answer = await client.get("/api/look?limit=7&from=x")
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert await answer.json() == {"limit": 7, "begin": "x", "trusted": True}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=many", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limits=1", "limits"),
        ("from=a&begin=b", "begin"),
    ],
)
async def test_a_wrong_parameter_is_named(query: str, field: str) -> None:
    async with serving([LOOK]) as client:
        assert (await problem(await client.get(f"/api/look?{query}")))[:2] == (400, field)


@pytest.mark.parametrize(
    ("body", "field"), [(b"{}", "text"), (b'{"text":1}', "text"), (b'{"text":"","x":1}', "x"), (b"{", "body"), (b"[]", "body")]
)
async def test_a_wrong_member_of_a_body_is_named(body: bytes, field: str) -> None:
    async with serving([NOTE]) as client:
        answer = await client.post("/api/note", data=body, headers={"Content-Type": "application/json"})
        assert (await problem(answer))[:2] == (400, field)


async def test_a_body_that_is_too_large_or_no_json() -> None:
    async with serving([NOTE]) as client:
        large = io.BytesIO(b'{"text":"%b"}' % (b"x" * LARGEST_BODY))
        headers = {"Content-Type": "application/json"}
        assert (await problem(await client.post("/api/note", data=large, headers=headers)))[:2] == (413, "body")
        assert (await problem(await client.post("/api/note", data={"text": "x"})))[:2] == (415, "Content-Type")


async def test_what_is_not_there_and_what_may_not_be_done_to_it() -> None:
    async with serving([LOOK]) as client:
        assert (await problem(await client.get("/api/other")))[0] == 404
        refused = await client.post("/api/look", json={})
        assert (await problem(refused))[0] == 405
        assert refused.headers["Allow"] == "GET,HEAD"
        assert (await client.head("/api/look")).status == 200


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (later("soon", 3), 503, "3"),
        (Unreachable("CHOPAR_STORE_URL", "db", "refused", "start it"), 503, "5"),
        (Mismatch("made by a newer version"), 500, None),
    ],
)
async def test_errors_become_problems(error: Exception, status: int, retry: str | None) -> None:
    async def fail(call: Call[NoQuery, None]) -> None:
        raise error

    async with serving([Endpoint("/api/fail", fail, "Fail.", None)]) as client:
        answer = await client.get("/api/fail")
        assert await problem(answer) == (status, None, str(error))
        assert answer.headers.get("Retry-After") == retry


async def test_a_fault_of_ours_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(call: Call[NoQuery, None]) -> None:
        raise KeyError("ann@shop.example")

    async with serving([Endpoint("/api/users/{id}", fail, "Fail.", None)]) as client:
        with caplog.at_level(logging.ERROR):
            status, _, detail = await problem(await client.get("/api/users/u-1"))
    assert (status, "ann" in detail) == (500, False)
    assert [record.getMessage() for record in caplog.records] == ["a request to /api/users/{id} failed"]


HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "chopar",
}


@pytest.mark.parametrize("path", ["/api/look", "/api/other", "/api/look?limit=x", "/page"])
async def test_every_answer_has_the_headers(path: str) -> None:
    async def page(call: Call[NoQuery, None]) -> str:
        return "<!doctype html>"

    async with serving([LOOK, Page("/page", page)]) as client:
        headers = (await client.get(path)).headers
    assert {name: headers[name] for name in HEADERS} == HEADERS
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert (policy["default-src"], policy["script-src"], policy["frame-ancestors"]) == ("'none'", "'self'", "'none'")
    assert "unsafe" not in headers["Content-Security-Policy"]


# -- who may do what ---------------------------------------------------------------------------------------------------


async def test_reading_needs_no_token_but_shows_less() -> None:
    async with serving([LOOK], TOKEN) as client:
        assert (await (await client.get("/api/look")).json())["trusted"] is False
        assert (await (await client.get("/api/look", headers=bearer())).json())["trusted"] is True


@pytest.mark.parametrize("value", ["Bearer wrong", "Bearer ", "Basic s3cret", TOKEN, f"Bearer {TOKEN}x", "Bearer \udcff"])
async def test_a_wrong_token_is_never_passed_over(value: str) -> None:
    async with serving([LOOK, NOTE], TOKEN) as client:
        for answer in (
            await client.get("/api/look", headers={"Authorization": value}),
            await client.post("/api/note", json={"text": "x"}, headers={"Authorization": value}),
        ):
            assert (await problem(answer))[:2] == (401, "Authorization")
            assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


async def test_changing_needs_the_token_where_there_is_one() -> None:
    async with serving([NOTE], TOKEN) as client:
        assert (await problem(await client.post("/api/note", json={"text": "x"})))[:2] == (401, "Authorization")
        assert (await client.post("/api/note", json={"text": "x"}, headers=bearer())).status == 200
    async with serving([NOTE]) as client:
        assert (await client.post("/api/note", json={"text": "x"})).status == 200


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"Origin": "https://evil.example"}, "Origin"),
        ({"Origin": "null"}, "Origin"),
        ({"Sec-Fetch-Site": "cross-site"}, "Sec-Fetch-Site"),
        ({"Sec-Fetch-Site": "same-site"}, "Sec-Fetch-Site"),
    ],
)
@pytest.mark.parametrize("token", [None, TOKEN])
async def test_another_site_can_change_nothing(headers: dict[str, str], field: str, token: str | None) -> None:
    async with serving([NOTE, *session_routes(Access(token))], token) as client:
        for path in ("/api/note", "/session"):
            assert (await problem(await client.post(path, json={"text": "x"}, headers={**bearer(), **headers})))[:2] == (
                403,
                field,
            )


async def test_our_own_pages_can() -> None:
    async with serving([NOTE]) as client:
        here = {"Origin": f"http://127.0.0.1:{client.port}", "Sec-Fetch-Site": "same-origin"}
        assert (await client.post("/api/note", json={"text": "x"}, headers=here)).status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:6066", "127.0.0.1.evil.example", "[", ""])
async def test_without_a_token_a_name_that_was_made_to_mean_this_machine_is_not_answered(host: str) -> None:
    async with serving([LOOK]) as client:
        assert (await client.get("/api/look", headers={"Host": host})).status in (400, 421)
    async with serving([LOOK], TOKEN) as client:
        assert (await client.get("/api/look", headers={"Host": "chopar.example"})).status == 200


@pytest.mark.parametrize("host", ["localhost", "localhost:6066", "[::1]:6066", "127.0.0.1"])
async def test_without_a_token_this_machine_is_answered(host: str) -> None:
    async with serving([LOOK]) as client:
        assert (await client.get("/api/look", headers={"Host": host})).status == 200


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def sign_in(client: Any, token: str = TOKEN, back: str = "/jobs") -> Any:
    return await client.post("/session", data={"token": token, "back": back}, allow_redirects=False)


async def test_a_browser_shows_the_token_once() -> None:
    clock = Clock()
    access = Access(TOKEN, clock)
    async with serving([LOOK, NOTE, *session_routes(access)], access=access) as client:
        begun = await sign_in(client)
        assert (begun.status, begun.headers["Location"]) == (303, "/jobs")
        cookie = begun.cookies[COOKIE]
        assert (cookie["httponly"], cookie["samesite"], TOKEN in cookie.value) == (True, "Strict", False)
        assert (await (await client.get("/api/look")).json())["trusted"] is True
        assert (await client.post("/api/note", json={"text": "x"})).status == 200
        clock.now += SESSION + 1
        assert (await (await client.get("/api/look")).json())["trusted"] is False


async def test_a_session_ends_when_the_browser_says_so() -> None:
    access = Access(TOKEN)
    async with serving([LOOK, *session_routes(access)], access=access) as client:
        await sign_in(client)
        await client.post("/session/end", data={}, allow_redirects=False)
        assert (await (await client.get("/api/look")).json())["trusted"] is False


@pytest.mark.parametrize("cookie", ["", "9999999999", "9999999999.", "9999999999.00", "nan.é", "."])
async def test_a_session_cannot_be_made_up(cookie: str) -> None:
    async with serving([LOOK], TOKEN) as client:
        answer = await client.get("/api/look", headers={"Cookie": f"{COOKIE}={cookie}"})
        assert (await answer.json())["trusted"] is False


async def test_a_wrong_token_opens_no_session_and_nobody_is_sent_elsewhere() -> None:
    access = Access(TOKEN)
    async with serving(session_routes(access), access=access) as client:
        assert (await problem(await sign_in(client, "wrong")))[:2] == (403, "token")
        for back in ("//evil.example", "https://evil.example", "/\\evil.example", "jobs", "/a\r\nb"):
            assert (await problem(await sign_in(client, back=back)))[:2] == (400, "back")


async def test_a_page_tells_a_person_what_is_wrong_in_html_and_a_program_in_json() -> None:
    async def page(call: Call[NoQuery, None]) -> str:
        raise Problem(404, "no <such> user")

    application = create_application([Page("/users/{id}", page), LOOK], Access(None), lambda told: f"<h1>{told.status}</h1>")
    async with TestClient(TestServer(application)) as client:
        told = await client.get("/users/u-1", headers={"Accept": "text/html,*/*"})
        assert (told.status, told.content_type, await told.text()) == (404, "text/html", "<h1>404</h1>")
        assert (await client.get("/users/u-1")).content_type == "application/problem+json"
        told = await client.get("/api/look?x=1", headers={"Accept": "text/html"})
        assert told.content_type == "application/problem+json"


async def test_a_handler_may_answer_itself() -> None:
    async def stream(call: Call[NoQuery, None]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(call.request)
        await response.write(b"data: 1\n\n")
        return response

    async with serving([Endpoint("/api/changes", stream, "Changes.", None)]) as client:
        answer = await client.get("/api/changes")
        assert (answer.content_type, await answer.read()) == ("text/event-stream", b"data: 1\n\n")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("headers", "data", "status"),
    [
        ({"Content-Type": "application/x-www-form-urlencoded; charset=nonsense"}, b"token=x", 403),
        ({"Content-Type": "application/x-www-form-urlencoded; charset=utf-7"}, b"token=+2AA-", 403),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"token=\xff", 400),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"token=%ff%00", 403),
        ({"Content-Type": "multipart/form-data"}, b"x", 415),
        (
            {"Content-Type": "multipart/form-data; boundary=x"},
            b"--x\r\nContent-Disposition: form-data\r\n\r\nv\r\n--x--\r\n",
            415,
        ),
        ({"Origin": "http://[", "Content-Type": "application/x-www-form-urlencoded"}, b"token=x", 403),
    ],
)
async def test_a_form_that_is_none_is_refused(headers: dict[str, str], data: bytes, status: int) -> None:
    async with serving(session_routes(Access(TOKEN)), TOKEN) as client:
        response = await client.post("/session", headers=headers, data=data, allow_redirects=False)
        assert (await problem(response))[0] == status

"""Takes the pictures of the pages in docs/pictures, with invented data: `make pictures`."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from activity.events import Refused
from activity.names import EVENTS, TRANSACTIONAL_QUEUE
from activity.outcomes import Dead, Retry, Sent
from activity.sequencing import dead_headers
from console.pages.rendering import quoted
from store.deadletters import Wanted
from tests.activity.test_redelivery import LETTER
from tests.console.pages.browser import browsing
from tests.console.pages.showing import WELL, showing
from tests.console.worlds import TRACE, World
from tests.rabbit.desks import MemoryDesk

PICTURES = Path(__file__).parents[3] / "docs" / "pictures"
LARGEST = 200_000
"""Bytes of a picture."""
USER = "u-42"
NOON = datetime(2026, 1, 31, 9, 30, tzinfo=UTC).timestamp()


async def world() -> World:
    """A user with a mail that took two attempts, one that is dead, and an event that no rule is about; one waits in a gap."""
    made = World(USER)
    data = {"email": "ann@shop.example"}
    first = await made.logged(1, at=NOON, data=data, traceparent=TRACE)
    await made.attempted(first, Retry("451 4.7.1 try again later"), Sent("250 2.0.0 queued as 4F2A"), at=NOON)
    second = await made.logged(2, "order.placed", at=NOON + 60, data=data)
    await made.attempted(second, Dead("no-such-user", "550 5.1.1 no such mailbox"), at=NOON + 60)
    await made.logged(3, "page.viewed", at=NOON + 90, data={"page": "/prices"})
    made.since = NOON + 95
    return made


def broken(number: int) -> bytes:
    """An event whose last brace is missing."""
    return (
        f'{{"specversion": "1.0", "id": "e-{number}", "source": "/web", "type": "user.signed_up", "subject": "u-{number}", '
        f'"data": {{"email": "user{number}@shop.example"}}'
    ).encode()


async def desk() -> MemoryDesk:
    """A refused event, mended but not yet sent, and five others."""
    made, problem = MemoryDesk(), "the value is no JSON: Input data was truncated"
    letters = []
    for number in range(40, 46):
        user, key = f"u-{number}", f"u-{number}".encode()
        headers = dead_headers([], Refused("not-json", problem), EVENTS, 3, 1200 + number)
        letters.append(
            replace(
                LETTER,
                id=f"{number}c4e19a-71d0-5c3f-9a42-0d8b7c0a9b{number}",
                partition=3,
                offset=1200 + number,
                problem=problem,
                user=user,
                key=key,
                headers=headers,
                payload=broken(number),
                first_seen=NOON + 60 * (number - 40),
            )
        )
    job = {"broker": "rabbitmq", "partition": None, "offset": None, "job": "5f0c6f0e-3a3c-5d0e-8f5e-0d8b7c0a9b11", "attempt": 1}
    letters[1] = replace(letters[1], reason="bad-address", problem="data.email is no address", origin=TRANSACTIONAL_QUEUE, **job)
    await made.letters.take(letters)
    await made.letters.edit(letters[2].id, broken(42) + b"}", "ann", "the last brace was missing", NOON + 900)
    return made


async def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    dead = await desk()
    (letter,) = await dead.letters.letters(Wanted(user=USER))
    seen = replace(WELL, now=NOON)
    async with showing(await world(), dead, seen, token=None) as client:
        for name, path, scheme in (
            ("overview", "/", "light"),
            ("overview-dark", "/", "dark"),
            ("timeline", f"/users/{quoted(USER)}", "light"),
            ("desk", "/dead-letters", "light"),
            ("brokers", "/brokers#rabbitmq", "light"),
            ("letter", f"/dead-letters/{letter.id}", "dark"),
        ):
            async with browsing(client, width=1200, height=860, scheme="dark" if scheme == "dark" else "light") as page:
                await page.goto(path)
                await page.locator("h1").wait_for()
                picture = await page.screenshot()
            if len(picture) > LARGEST:
                raise SystemExit(f"{name}: {len(picture)} bytes are too many")
            (PICTURES / f"{name}.png").write_bytes(picture)


if __name__ == "__main__":
    asyncio.run(main())

"""Takes the pictures of the pages in docs/pictures, with invented data: `make pictures`."""

import asyncio
from pathlib import Path

from msgspec.structs import replace

from activity.outcomes import Dead, Retry, Sent
from console.pages.rendering import quoted
from tests.activity.test_redelivery import LETTER
from tests.console.pages.browser import browsing
from tests.console.pages.showing import WELL, showing
from tests.console.worlds import TRACE, World
from tests.rabbit.desks import MemoryDesk

PICTURES = Path(__file__).parents[3] / "docs" / "pictures"
LARGEST = 150_000
"""Bytes of a picture."""
USER = "u-42"
NOON = 1_700_049_600.0


async def world() -> World:
    """A user with a mail that took two attempts, one that is dead, and an event that no rule is about."""
    made = World(USER)
    data = {"email": "ann@shop.example"}
    first = await made.logged(1, at=NOON, data=data, traceparent=TRACE)
    await made.attempted(first, Retry("451 4.7.1 try again later"), Sent("250 2.0.0 queued as 4F2A"))
    second = await made.logged(2, "order.placed", at=NOON + 60, data=data)
    await made.attempted(second, Dead("no-such-user", "550 5.1.1 no such mailbox"))
    await made.logged(3, "page.viewed", at=NOON + 90, data={"page": "/prices"})
    return made


async def desk() -> MemoryDesk:
    """A refused event, mended but not yet sent, and five others."""
    made = MemoryDesk()
    letters = [replace(LETTER, id=f"{7 + n}c4e19a{n}", user=f"u-{40 + n}", first_seen=NOON + 60 * n) for n in range(6)]
    letters[1] = replace(letters[1], reason="bad-address", problem="data.email is no address", origin="email.transactional")
    await made.letters.take(letters)
    await made.letters.edit(letters[2].id, (LETTER.payload or b"").replace(b"u-1", b"u-42"), "ann", "the right user", NOON + 900)
    return made


async def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    dead = await desk()
    seen = replace(WELL, now=NOON)
    async with showing(await world(), dead, seen, token=None) as client:
        for name, path, scheme in (
            ("overview", "/", "light"),
            ("overview-dark", "/", "dark"),
            ("timeline", f"/users/{quoted(USER)}", "light"),
            ("desk", "/dead-letters", "light"),
            ("letter", "/dead-letters/9c4e19a2", "dark"),
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

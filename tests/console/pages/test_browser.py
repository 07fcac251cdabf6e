"""The pages in a real browser: they look right, change by themselves, and a person can do with them what has to be done."""

from typing import Literal

import pytest
from msgspec.structs import replace
from playwright.async_api import Page, expect

from activity.names import APP, EVENTS
from console.pages.rendering import quoted
from tests.activity.test_redelivery import LETTER
from tests.console.pages.browser import browsing, sign_in
from tests.console.pages.showing import WELL, Changing, reader, showing, with_reader
from tests.console.worlds import ADDRESS, USER, World
from tests.rabbit.desks import MemoryDesk

NOBODY_READS = with_reader(reader("sequencer", APP, EVENTS, members=0, lag=500))
FOCUSED = "document.activeElement.getAttribute('href') ?? document.activeElement.name ?? document.activeElement.tagName"
CONTRAST = """() => {
  const parts = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const light = (colour) => parts(colour).slice(0, 3).map((one) => one / 255)
    .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const clear = (colour) => parts(colour)[3] === 0;
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const box = one.tagName === "g" && one.querySelector(":scope > rect");
      const colour = box ? getComputedStyle(box).fill : getComputedStyle(one).backgroundColor;
      if (!clear(colour)) return light(colour);
    }
    return light("rgb(255, 255, 255)");
  };
  const ratio = (element) => {
    const style = getComputedStyle(element);
    const [ink, paper] = [light(element.tagName === "text" ? style.fill : style.color), behind(element)];
    return (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05);
  };
  const texts = [...document.querySelectorAll("body *")].filter((one) =>
    one.getClientRects().length && [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()));
  const told = (one) => [ratio(one), one.tagName + ": " + one.textContent.trim().slice(0, 40)];
  const worst = texts.map(told).sort((a, b) => a[0] - b[0]);
  return [light(getComputedStyle(document.documentElement).backgroundColor), ...worst[0]];
}"""


async def overflow(page: Page) -> int:
    """Pixels by which the page is wider than the screen."""
    return int(await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


async def told() -> tuple[World, MemoryDesk]:
    world, desk = World(), MemoryDesk()
    await world.told()
    await desk.letters.take([replace(LETTER, payload=b'{"specversion": "1.0",')])
    return world, desk


async def test_the_overview_tells_the_verdict_and_changes_without_a_reload() -> None:
    seen = Changing(WELL)
    async with showing(snapshot=seen) as client, browsing(client) as page:
        await page.goto("/")
        verdict = page.locator("h1.verdict")
        await expect(verdict).to_contain_text("All is well")
        await expect(page.locator("#live")).to_have_text("live")
        await page.evaluate("window.loaded = 'once'")
        seen.tell(NOBODY_READS)
        await expect(verdict).not_to_contain_text("All is well")
        await expect(page.locator(".findings .bad")).not_to_have_count(0)
        seen.tell(WELL)
        await expect(verdict).to_contain_text("All is well")
        assert await page.evaluate("window.loaded") == "once"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_are_readable_in_light_and_dark_and_fit_a_phone(scheme: Literal["light", "dark"]) -> None:
    world, desk = await told()
    async with (
        showing(world, desk, NOBODY_READS, token=None) as client,
        browsing(client, width=400, height=800, scheme=scheme) as page,
    ):
        letters = ("/dead-letters", "/dead-letters?state=open", "/dead-letters/l-1", "/dead-letters/group")
        for path in ("/", f"/users/{quoted(USER)}", "/jobs", "/brokers", *letters):
            await page.goto(path)
            paper, contrast, where = await page.evaluate(CONTRAST)
            assert (paper < 0.1) == (scheme == "dark"), path
            assert contrast >= 4.5, (path, where)
            assert await overflow(page) <= 0, path


async def test_the_overview_is_walked_by_keyboard_and_keeps_its_place_when_it_changes() -> None:
    seen = Changing(NOBODY_READS)
    async with showing(snapshot=seen) as client, browsing(client) as page:
        await page.goto("/")
        await expect(page.locator("#live")).to_have_text("live")
        walked: list[str] = []
        while "/dead-letters" not in walked[6:] and len(walked) < 40:
            await page.keyboard.press("Tab")
            walked.append(await page.evaluate(FOCUSED))
        assert walked[:6] == ["#main", "/", "/", "/jobs", "/dead-letters", "/brokers"]
        assert "/dead-letters" in walked[6:]
        seen.tell(replace(NOBODY_READS, waiting=13_131))
        await expect(page.locator("#flow")).to_contain_text("13,131")
        assert await page.evaluate(FOCUSED) == "/dead-letters"
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_have_text("Dead letters")


async def test_a_timeline_is_found_by_the_users_id_and_shown_whole_with_the_token() -> None:
    world, _ = await told()
    async with showing(world) as client, browsing(client) as page:
        await page.goto("/")
        await page.get_by_label("User id").fill(USER)
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_contain_text(USER)
        await expect(page.locator("main")).to_contain_text("451 later")
        await expect(page.locator("main")).not_to_contain_text(ADDRESS)
        await sign_in(page)
        await expect(page.locator("main")).to_contain_text(f"250 queued for <{ADDRESS}>")


async def test_a_refused_event_is_mended_tried_and_replayed_at_the_desk() -> None:
    _, desk = await told()
    assert LETTER.payload is not None
    async with showing(None, desk) as client, browsing(client) as page:
        await page.goto("/dead-letters")
        await page.get_by_role("link", name="l-1").click()
        await expect(page.locator("main")).to_contain_text("nothing can be changed")
        await sign_in(page)
        status = page.get_by_role("status")
        await page.get_by_label("Your name").fill("ann")
        await page.get_by_role("button", name="Dry run").click()
        await expect(status).to_contain_text("It would be refused again")
        await page.get_by_label("What is sent").fill(LETTER.payload.decode())
        await page.get_by_role("button", name="Dry run").click()
        await expect(status).to_contain_text("It would be accepted")
        await page.get_by_role("button", name="Save the edit").click()
        await expect(status).to_have_text("The edit is saved.")
        assert desk.sent == []
        await page.get_by_role("button", name="Replay").click()
        await expect(status).to_have_text("It was sent again.")
        await expect(page.locator("h1")).to_contain_text("replayed")
        assert len(desk.sent) == 1
        await page.reload()
        await expect(page.get_by_role("button", name="Replay")).to_have_count(0)
        assert len(desk.sent) == 1


async def test_a_group_is_tried_confirmed_and_replayed_without_javascript() -> None:
    _, desk = await told()
    await desk.letters.take([replace(LETTER, id=f"l-{n}") for n in (2, 3)])
    async with showing(None, desk, token=None) as client, browsing(client, script=False) as page:
        await page.goto("/dead-letters")
        await page.get_by_role("link", name=f"Replay or discard all open letters of {LETTER.reason}").click()
        await expect(page.locator("h1")).to_have_text("3 open letters")
        await page.get_by_label("Your name").fill("ann")
        await page.get_by_label("Letters a second").fill("50")
        await page.get_by_role("button", name="Dry run").click()
        await expect(page.get_by_role("status")).to_contain_text("2 would be accepted, 1 refused again")
        assert desk.sent == []
        await page.get_by_role("button", name="Yes, replay 3 letters").click()
        await expect(page.get_by_role("status")).to_contain_text("2 of 3 letters done, 1 stay open")
        await expect(page.get_by_role("status")).to_contain_text("ended")
        await expect(page.locator("h1")).to_have_text("1 open letter")
        assert len(desk.sent) == 2
        await page.reload()
        assert len(desk.sent) == 2

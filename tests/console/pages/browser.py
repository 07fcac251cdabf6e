"""Debian's chromium, headless, on the pages; whatever it complains about fails the test."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

from playwright.async_api import Page, ViewportSize, async_playwright, expect

from tests.console.serving import TOKEN

PATIENCE: Final = 60_000.0
"""Milliseconds: a busy machine is slow, and what is waited for either comes or not."""
expect.set_options(timeout=PATIENCE)


@asynccontextmanager
async def browsing(
    client: Any, *, width: int = 1200, height: int = 900, scheme: Literal["light", "dark"] = "light", script: bool = True
) -> AsyncIterator[Page]:
    """A page whose addresses are those of `client`.

    Errors, violations of the policy and requests to elsewhere end in an `AssertionError`.
    """
    found = shutil.which(os.environ.get("CHOPAR_CHROMIUM", "chromium"))
    assert found, "chromium is missing: make system"
    origin, wrong = str(client.make_url("")).rstrip("/"), list[str]()
    async with async_playwright() as driver, await driver.chromium.launch(executable_path=found) as browser:
        size: ViewportSize = {"width": width, "height": height}
        page = await browser.new_page(
            base_url=origin, viewport=size, color_scheme=scheme, locale="en-GB", java_script_enabled=script
        )
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda sent: None if sent.url.startswith((origin, "data:")) else wrong.append(sent.url))
        yield page
        assert wrong == []


async def sign_in(page: Page) -> None:
    """Shows the token in the form at the end of the page."""
    await page.get_by_text("Show the token to see them").click()
    await page.get_by_label("CHOPAR_API_TOKEN").fill(TOKEN)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_text("You see addresses and payloads.").wait_for()

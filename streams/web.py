"""Faust's own web server, with our application in the place of its pages."""

from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from faust.web.drivers import aiohttp as driver

STOP_TIMEOUT: Final = 1.0
"""Seconds that an answer which is under way gets when the worker stops; a stream of events has no end of its own."""


class Web(driver.Web):
    """Serves what `make` makes when it starts, and nothing of Faust's: no blueprints, no CORS.

    It runs in the loop that the tables live in.
    """

    def __init__(self, app: Any, make: Callable[[], web.Application]) -> None:
        super().__init__(app)
        self._make = make

    async def on_start(self) -> None:
        self.web_app = self._make()
        self._runner = web.AppRunner(self.web_app, access_log=None, shutdown_timeout=STOP_TIMEOUT)
        self.add_dependency(driver.Server(self, loop=self.loop, beacon=self.beacon))

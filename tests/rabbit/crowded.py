"""A mail server that limits connections, as most do for each client."""

import asyncio
from typing import cast

from tests.rabbit.inbox import Inbox


class TurnedAway(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)
        stream.write(b"421 4.7.0 Too many concurrent SMTP connections\r\n")
        stream.close()


class Crowded(Inbox):
    """Takes two connections, and no third while it lives."""

    def __init__(self) -> None:
        super().__init__()
        self.turned_away = 0

    def _protocol(self) -> asyncio.Protocol:
        if self.connections < 2:
            return super()._protocol()
        self.turned_away += 1
        return TurnedAway()

"""The one fixture of these tests: a `Lab` on the session's RabbitMQ."""

from collections.abc import AsyncIterator

import pytest

from chopar.lab.rabbit import Lab, corner


@pytest.fixture
async def lab(rabbit_url: str) -> AsyncIterator[Lab]:
    """Queues and exchanges of the test's own; they are gone when it ends."""
    async with corner(rabbit_url) as lab:
        yield lab

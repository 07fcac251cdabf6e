"""The one fixture of these tests: a `Lab` on the session's RabbitMQ."""

from collections.abc import AsyncIterator

import aio_pika
import pytest

from tests.rabbitmq.lab import Lab


@pytest.fixture
async def lab(rabbit_url: str) -> AsyncIterator[Lab]:
    """Queues and exchanges of the test's own; they are gone when it ends."""
    connection = await aio_pika.connect(rabbit_url)
    async with connection:
        lab = Lab(rabbit_url, connection, await connection.channel(on_return_raises=True))
        yield lab
        await lab.clear()

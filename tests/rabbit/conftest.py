"""A RabbitMQ with everything declared and all queues empty."""

import pytest

from tests.rabbit import broker


@pytest.fixture
async def rabbit(rabbit_url: str) -> str:
    """Its URL."""
    await broker.empty(rabbit_url)
    return rabbit_url

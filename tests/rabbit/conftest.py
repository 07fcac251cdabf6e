"""A RabbitMQ with everything declared and all queues empty."""

import hypothesis
import pytest

from tests.rabbit import broker

hypothesis.settings.register_profile("chopar", deadline=None)  # the machine may be busy with other things
hypothesis.settings.load_profile("chopar")


@pytest.fixture
async def rabbit(rabbit_url: str) -> str:
    """Its URL."""
    return await _emptied(rabbit_url)


@pytest.fixture(params=["channel", "rabbitmq"])
async def url(request: pytest.FixtureRequest) -> str | None:
    """Of the RabbitMQ to run on, or None for a channel: what holds for one holds for the other."""
    return None if request.param == "channel" else await _emptied(request.getfixturevalue("rabbit_url"))


async def _emptied(url: str) -> str:
    await broker.empty(url)
    return url

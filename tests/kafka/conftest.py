"""The one fixture of these tests: a `Lab` on the session's Kafka."""

from collections.abc import AsyncIterator

import pytest

from chopar.lab.kafka import Lab, corner


@pytest.fixture
async def lab(kafka_url: str) -> AsyncIterator[Lab]:
    """Topics and groups of the test's own; the topics are gone when it ends."""
    async with corner(kafka_url) as lab:
        yield lab

"""The one fixture of these tests: a `Lab` on the session's Kafka."""

import pytest

from tests.kafka.lab import Lab


@pytest.fixture
def lab(kafka_url: str) -> Lab:
    """Topics and groups of the test's own."""
    return Lab(kafka_url.removeprefix("kafka://"))

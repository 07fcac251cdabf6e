"""The fixtures that the other tests stand on."""

from urllib.parse import urlsplit

from brokers import probe


async def test_kafka_url_answers(kafka_url: str) -> None:
    assert await probe.kafka(urlsplit(kafka_url).port or 0)


def test_rabbit_url_is_usable_from_a_test_without_a_loop(rabbit_url: str) -> None:
    assert rabbit_url.startswith("amqp://guest:guest@")


async def test_rabbit_url_answers(rabbit_url: str) -> None:
    assert await probe.amqp(urlsplit(rabbit_url).port or 0)

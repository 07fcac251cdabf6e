"""A killed worker's seat in its group is free as soon as another one starts beside it."""

import asyncio
import os
from pathlib import Path

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient

from streams.seats import Seat, give_up_seats
from tests.installation import Installation
from tests.streams.lab import Lab


def test_only_the_dead_lose_their_seats(tmp_path: Path) -> None:
    here, left, killed = Seat(tmp_path / "seats"), Seat(tmp_path / "seats"), Seat(tmp_path / "seats")
    here.note("here")
    left.note("left")
    left.leave()
    killed.note("killed with a long name")
    killed.note("killed")
    unnamed = Seat(tmp_path / "seats")
    for seat in (killed, unnamed):
        os.close(seat._handle)  # as the system does when a process dies
    new = Seat(tmp_path / "seats")
    assert new.take_from_dead() == ["killed"]
    assert new.take_from_dead() == []
    for seat in (here, new):
        seat.leave()
    assert list((tmp_path / "seats").iterdir()) == []


async def members(admin: AIOKafkaAdminClient, group: str) -> int:
    (response,) = await admin.describe_consumer_groups([group])
    return len(response.groups[0][5])


async def test_the_group_lets_the_dead_go_at_once(kafka_url: str) -> None:
    lab = await Lab(kafka_url).create()
    consumer = AIOKafkaConsumer(lab.topic, bootstrap_servers=lab.address, group_id=lab.group, session_timeout_ms=60_000)
    await consumer.start()
    await consumer.getmany(timeout_ms=100)
    member = consumer._coordinator.member_id
    consumer._coordinator._group_instance_id = "so that it does not say good-bye"
    await consumer.stop()
    admin = AIOKafkaAdminClient(bootstrap_servers=lab.address)
    await admin.start()
    try:
        assert await members(admin, lab.group) == 1
        await give_up_seats(lab.address, lab.group, [member, "nobody"])
        assert await members(admin, lab.group) == 0
    finally:
        await admin.close()


async def test_a_worker_gives_up_the_seat_of_one_that_was_killed(kafka_url: str, tmp_path: Path) -> None:
    ours = Installation(tmp_path, kafka_url)
    async with ours.running(ours.worker):
        ours.worker.kill()
        ours.worker.start()
        await asyncio.to_thread(ours.worker.says, "1 of group chopar had been killed; their partitions are free")

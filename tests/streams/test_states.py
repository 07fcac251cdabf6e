"""The users' states on a real Kafka: on disk across crashes and moves, and forgotten after a quiet time."""

import asyncio
import uuid
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from activity import names, order
from activity.settings import parse_settings
from streams.identity import topic_identity
from tables.disk import DiskShelf
from tests.installation import Installation, read_log, send
from tests.processes import WORKER
from tests.streams.test_outage import events


async def ends(kafka_url: str, topic: str) -> dict[int, int]:
    """The end offset of each partition of `topic`."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka_url.removeprefix("kafka://"))
    await consumer.start()
    try:
        found = await consumer.end_offsets([TopicPartition(topic, number) for number in range(8)])
        return {tp.partition: end for tp, end in found.items()}
    finally:
        await consumer.stop()


async def last_state(kafka_url: str, user: str) -> bytes:
    """The user's state as the changelog has it last."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka_url.removeprefix("kafka://"), auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(names.USERS_CHANGELOG, number) for number in range(8)]
        consumer.assign(partitions)
        found = b""
        for tp, end in (await consumer.end_offsets(partitions)).items():
            while await consumer.position(tp) < end:
                for batch in (await consumer.getmany(timeout_ms=500)).values():
                    found = next((record.value for record in reversed(batch) if record.key == user.encode()), found)
        return found
    finally:
        await consumer.stop()


async def test_states_on_disk_survive_crashes_and_moves(kafka_url: str, tmp_path: Path) -> None:
    run = f"d{uuid.uuid4().hex[:8]}"
    users = [f"{run}-{n}" for n in range(20)]
    ours = Installation(tmp_path, kafka_url)
    one, other = (ours.process(WORKER, name, CHOPAR_TABLE_STORE="rocksdb") for name in ("one", "other"))
    doomed = ours.process(WORKER, "one", CHOPAR_TABLE_STORE="rocksdb", FAILPOINT="sequencer.written:3")

    async def sent(first: int, last: int) -> None:
        await send(kafka_url, events(users, first, last), rate=1000)

    async def stored(last: int) -> None:
        await ours.until(lambda: ours.stored(f"{run}-") == 20 * last, f"all stored up to {last}")

    async with ours.running(doomed):
        await sent(1, 20)
        await ours.until(lambda: not doomed.running, "killed after a write")
    async with ours.running(one):
        await stored(20)
        async with ours.running(other):  # part of the users moves
            await sent(21, 30)
            await stored(30)
            assert one.stop() == 0  # the others move too; what `one` has of them is behind from here on
            await sent(31, 40)
            await stored(40)
            one.start()
            assert other.stop() == 0
            await sent(41, 50)
            await stored(50)
        assert one.stop() == 0
    for user, records in (await read_log(kafka_url, set(users))).items():
        wanted = [(n, f"{user}-{n}") for n in range(1, 51)]
        assert sorted(set(records)) == wanted, "each event has one position, and no position is missing"
        assert ours.rows("select position, event_id from activity where user_id = ? order by position", user) == wanted
    shelf = DiskShelf(tmp_path / "one" / "chopar" / "states")
    shelf.start(await topic_identity(parse_settings({"CHOPAR_KAFKA_URL": kafka_url}), names.USERS_CHANGELOG))
    try:
        reached = {number: (shelf.open(number).offset or -1) + 1 for number in range(8)}
    finally:
        shelf.stop()
    end = await ends(kafka_url, names.USERS_CHANGELOG)
    assert reached == end, "the next start has nothing to read"


async def test_a_quiet_user_is_forgotten_but_for_the_numbers(kafka_url: str, tmp_path: Path) -> None:
    user = f"q{uuid.uuid4().hex[:8]}-1"
    ours = Installation(tmp_path, kafka_url, CHOPAR_QUIET_AFTER="1s")
    async with ours.running(ours.worker):
        await send(kafka_url, events([user], 1, 3), rate=1000)
        async with asyncio.timeout(120):
            while not (value := await last_state(kafka_url, user)) or order.decode(value).sources["/web"].recent:  # noqa: ASYNC110  (it stands on Kafka)
                await asyncio.sleep(0.5)
        assert order.decode(value) == order.State(3, {"/web": order.Source(4)})
        assert ours.worker.stop() == 0
        ours.worker.start()
        await send(kafka_url, events([user], 3, 5), rate=1000)
        await ours.until(lambda: ours.stored(user) == 5, "all stored")
    assert sorted(set((await read_log(kafka_url, {user}))[user])) == [(n, f"{user}-{n}") for n in range(1, 6)]

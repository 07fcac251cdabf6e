"""Partitions move from worker to worker: states, events that wait, ticks and the gap's timeout move with them."""

import uuid
from pathlib import Path

import pytest

from tests.installation import Installation, read_log, send
from tests.processes import WORKER
from tests.streams.test_outage import events


@pytest.mark.timeout(400)
async def test_what_waits_moves_to_a_worker_that_joins_and_is_given_up_by_the_one_that_stays(
    kafka_url: str, tmp_path: Path
) -> None:
    run = f"m{uuid.uuid4().hex[:8]}"
    users = [f"{run}-{n}" for n in range(40)]
    ours = Installation(tmp_path, kafka_url, CHOPAR_GAP_TIMEOUT="15s")
    joins = ours.process(WORKER, "joins")
    async with ours.running(ours.worker):
        await send(kafka_url, events(users, 1, 1) + events(users, 3, 5), rate=5000)  # 2 is missing
        await ours.until(lambda: ours.stored(run) == 40, "the first of each stored")
        async with ours.running(joins):
            await send(kafka_url, events(users, 6, 6), rate=5000)
            assert ours.worker.stop() == 0
            await ours.until(lambda: ours.stored(run) == 200, "the gap given up, by ticks of the one that stays")
            await send(kafka_url, events(users, 2, 2) + events(users, 7, 7), rate=5000)
            await ours.until(lambda: ours.stored(run) == 280, "all stored")
    wanted = list(enumerate([1, 3, 4, 5, 6, 2, 7], 1))
    for user, records in (await read_log(kafka_url, set(users))).items():
        assert list(dict.fromkeys(records)) == [(position, f"{user}-{n}") for position, n in wanted], "in this order, no hole"
    late = "select count(*) from activity where user_id like ? and verdict = 'late' and sequence = '2'"
    assert ours.rows(late, f"{run}-%") == [(40,)]

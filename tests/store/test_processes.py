"""Several processes on one store, and processes that are killed: on SQLite and Postgres."""

from store.opening import open_store
from tests.store import child as scripts
from tests.store.orders import entry
from tests.store.processes import begin, child, line, rest, together


async def test_processes_that_open_a_new_store_at_once(url: str) -> None:
    assert await together("start", url, 4) == [["open"]] * 4
    async with open_store(url) as store:
        assert await store.log.count() == 0


async def test_a_job_is_one_process_alone(url: str) -> None:
    got = await together("compete", url, 3)
    numbers = [number for said in got for number in said]
    assert sorted(map(int, numbers)) == list(range(scripts.JOBS))
    async with open_store(url) as store:
        for index, said in enumerate(got):
            for number in said[:5]:
                found = await store.jobs.job(f"j-{number}")
                assert found is not None
                assert found.job.owner == f"o-{index}"


async def test_what_was_appended_outlives_a_kill(url: str) -> None:
    async with child("append", url, "a") as process:
        begin(process)
        for _ in range(20):
            await line(process)
        process.kill()
        said = await rest(process)
    durable = int(said[-1]) if said else 20 * scripts.BATCH
    async with open_store(url) as store:
        found = await store.log.read("u-1", limit=durable + 1000)
        positions = len(found)
        assert found == [entry(position) for position in range(positions, 0, -1)]
        assert positions in (durable, durable + scripts.BATCH)  # whole batches; the last one may not have been said
        # The store is as good as before: the one who comes next goes on.
        assert (await store.log.append([entry(positions), entry(positions + 1)])).new == 1


async def test_what_was_claimed_and_settled_outlives_a_kill(url: str) -> None:
    async with child("claim", url, "a") as process:
        begin(process)
        said = [await line(process) for _ in range(41)]
        process.kill()
        said += await rest(process)
    async with open_store(url) as store:
        for text in said:
            word, number = text.split()
            found = await store.jobs.job(f"j-{number}")
            assert found is not None
            assert found.job.state == "sent" if word == "sent" else found.job.state in ("sending", "sent")
            assert [row.owner for row in found.attempts] == ["a"]
        counts = await store.jobs.counts()
        assert counts["sending"] <= 1
        assert counts["sent"] in (sum(text.startswith("sent") for text in said) + more for more in (0, 1))

"""The consumer that `chopar lab crash` kills: `python -m chopar.lab.consumer ADDRESS TOPIC GROUP ORDER RESULTS`.

It works record by record up to what is now the end of the topic. Its work is a line in the file RESULTS, which stands for a
store. It dies where FAILPOINT says.
"""

import asyncio
import sys
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from chopar.lab.kafka import Lab
from rabbit.failpoints import failpoint


async def run(address: str, topic: str, group: str, order: str, results: Path) -> None:
    """`order`: `commit, then work`, else the work comes first; `work once, …` looks whether it was done."""
    # Its partition is assigned by hand: no need to wait until the group has noticed that the member before it is dead.
    partition = TopicPartition(topic, 0)
    async with Lab(address).consumer(group=group) as consumer:
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        while await consumer.position(partition) < end:
            name = (await consumer.getone()).value.decode()
            if order == "commit, then work":
                await commit(consumer)
                work(name, results)
            else:
                if order == "work, then commit" or not is_done(name, results):
                    work(name, results)
                await commit(consumer)


async def commit(consumer: AIOKafkaConsumer) -> None:
    """All that was read is done."""
    failpoint("consumer.committing")
    await consumer.commit()
    failpoint("consumer.committed")


def work(name: str, results: Path) -> None:
    """Leaves a trace that survives a SIGKILL."""
    with results.open("a") as file:
        file.write(f"{name}\n")


def is_done(name: str, results: Path) -> bool:
    """Whether the trace is there."""
    return results.exists() and name in results.read_text().split()


if __name__ == "__main__":
    _, at, name, members, first, file = sys.argv
    asyncio.run(run(at, name, members, first, Path(file)))

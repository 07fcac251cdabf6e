"""A process that uses the store and says on standard output what it has done, one line each: `child.py MODE URL OWNER`."""

import asyncio
import sys
from itertools import count

from activity.claims import Claim, Go
from activity.outcomes import Sent
from store.ledger import Settlement
from store.opening import Store, open_store
from tests.store.orders import entry, job

BATCH = 5
JOBS = 200


def say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def start(_store: Store, _owner: str) -> None:
    say("open")


async def append(store: Store, _owner: str) -> None:
    """Appends for ever; says the highest position that is durable."""
    for first in count(1, BATCH):
        await store.log.append([entry(position) for position in range(first, first + BATCH)])
        say(first + BATCH - 1)


async def claim(store: Store, owner: str) -> None:
    """Claims and settles for ever; says `claimed n` and `sent n`, each when it is durable."""
    ledger = store.ledger("hold")
    for number in count(1):
        one = job(f"j-{number}")
        await ledger.claim([Claim(one, 1, owner, 2e9)], 1e9)
        say(f"claimed {number}")
        await ledger.settle([Settlement(one, 1, owner, 1e9, Sent())], 1e9)
        say(f"sent {number}")


async def compete(store: Store, owner: str) -> None:
    """Claims the same jobs as others do, every owner in an order of its own; says which ones it got."""
    ledger = store.ledger("hold")
    numbers = sorted(range(JOBS), key=lambda number: hash((owner, number)))
    for start in range(0, JOBS, BATCH):
        mine = numbers[start : start + BATCH]
        answers = await ledger.claim([Claim(job(f"j-{number}"), 1, owner, 2e9) for number in mine], 1e9)
        for number, answer in zip(mine, answers, strict=True):
            if isinstance(answer, Go):
                say(number)


async def main(mode: str, url: str, owner: str) -> None:
    say("ready")
    await asyncio.to_thread(sys.stdin.readline)  # so that several begin at once
    async with open_store(url) as store:
        await {"start": start, "append": append, "claim": claim, "compete": compete}[mode](store, owner)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

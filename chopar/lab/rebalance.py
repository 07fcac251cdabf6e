"""Members of a group come and go, and Kafka deals the partitions out anew each time."""

from contextlib import AsyncExitStack
from typing import Final

from chopar.lab.kafka import Lab
from chopar.lab.members import Group
from chopar.lab.teller import Teller

PARTITIONS: Final = 4
NAMES: Final = ("ann", "ben", "cleo", "dan", "eve", "fay")


async def rebalance(lab: Lab, teller: Teller, *, members: int) -> None:
    """Starts so many members one after the other, then stops them until one is left."""
    group = Group(lab, await lab.topic(PARTITIONS))
    names = NAMES[:members]
    async with AsyncExitStack() as stack:
        leaving: list[AsyncExitStack] = []
        for name in names:
            await teller.step(f"{name} joins. Who owns what of {PARTITIONS} partitions?")
            leaving.append(await stack.enter_async_context(AsyncExitStack()))
            await leaving[-1].enter_async_context(group.member(name))
            await _show(teller, group)
        for name, leave in zip(names[1:], leaving[1:], strict=True):
            await teller.step(f"{name} leaves.")
            await leave.aclose()
            await _show(teller, group)
    idle = max(0, members - PARTITIONS)
    showed = f"each partition had one owner at a time, and all was dealt out anew {2 * members - 1} times. The first thing each\n"
    showed += "time was that all gave up what they had, so a rebalance stops everybody for a moment."
    if idle:
        showed += f"\n{idle} of {members} had nothing to do: the number of partitions is the limit."
    teller.showed(showed)


async def _show(teller: Teller, group: Group) -> None:
    """Waits until the group has settled, and shows who owns what."""
    await group.settled(PARTITIONS)
    teller.rows(["member", "owns"], [[name, " ".join(map(str, sorted(owned)))] for name, owned in group.owned.items()])

"""How far the workers are behind what comes: looks at Kafka, made into paces."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from activity.names import APP, DEAD, EVENTS, LOG, NOTIFY_APP, USERS_CHANGELOG
from activity.pace import Look, Reader, Standing, Topic, pace
from activity.settings import Settings
from streams.groups import Group, Groups, open_groups

READERS: Final = ((APP, EVENTS, "sequencer"), (APP, LOG, "archiver"), (APP, DEAD, "desk"), (NOTIFY_APP, LOG, "notifier"))
"""Who reads what: group, topic, and the agent in it."""
OURS: Final = (EVENTS, LOG, DEAD, USERS_CHANGELOG)


async def looks(settings: Settings, interval: float) -> AsyncGenerator[list[Reader], None]:
    """How all stand, every `interval` seconds. Raises ChoparError."""
    async with open_groups(settings) as groups, aclosing(watch(groups, interval)) as found:
        async for readers in found:
            yield readers


async def watch(groups: Groups, interval: float) -> AsyncGenerator[list[Reader], None]:
    """As `looks`, over a connection that is there."""
    before = await look_at(groups)
    while True:
        await asyncio.sleep(interval)
        after = await look_at(groups)
        members = {name: await groups.group(name) for name in (APP, NOTIFY_APP)}
        yield [reader(agent, members[group], topic, before[group, topic], after[group, topic]) for group, topic, agent in READERS]
        before = after


async def all_topics(groups: Groups) -> list[Topic]:
    """Chopar's topics in the order of the flow, then the others that Kafka has."""
    found = await groups.topics()
    ours = [Topic(name, found.get(name, 0), True, await groups.bounds(name) if name in found else {}) for name in OURS]
    return ours + [Topic(name, count, False) for name, count in sorted(found.items()) if name not in OURS]


async def look_at(groups: Groups) -> dict[tuple[str, str], dict[int, Look]]:
    """All partitions of all readers, now."""
    clock = asyncio.get_running_loop()
    found = {}
    for group, topic, _ in READERS:
        positions = await groups.positions(group, topic)  # first: a record that comes now is lag, not the other way round
        bounds = await groups.bounds(topic)
        at = clock.time()
        found[group, topic] = {n: Look(at, positions.get(n), bound.begin, bound.end) for n, bound in bounds.items()}
    return found


def reader(agent: str, group: Group, topic: str, before: dict[int, Look], after: dict[int, Look]) -> Reader:
    """An agent as it stands, by two looks."""
    partitions = []
    for number, look in sorted(after.items()):
        owner = group.owner(topic, number)
        told = None if owner is None else f"{owner.client} {owner.host}"
        partitions.append(Standing(number, look, pace(before.get(number, look), look), told))
    return Reader(agent, group.name, topic, group.state, len(group.members), partitions)

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
SOON: Final = 1.0
"""Seconds until the second look, so that who has just come knows something; in less a reader may not have committed once."""
OURS: Final = (EVENTS, LOG, DEAD, USERS_CHANGELOG)


async def looks(settings: Settings, interval: float) -> AsyncGenerator[list[Reader], None]:
    """How all stand, every `interval` seconds. Raises ChoparError."""
    async with open_groups(settings) as groups, aclosing(watch(groups, interval)) as found:
        async for readers in found:
            yield readers


async def watch(groups: Groups, interval: float) -> AsyncGenerator[list[Reader], None]:
    """As `looks`, over a connection that is there."""
    before, pause = await look_at(groups), min(interval, SOON)
    while True:
        await asyncio.sleep(pause)
        after = await look_at(groups)
        members = {name: await groups.group(name) for name in (APP, NOTIFY_APP)}
        yield [reader(agent, members[group], topic, before[group, topic], after[group, topic]) for group, topic, agent in READERS]
        before, pause = after, interval


async def all_topics(groups: Groups) -> list[Topic]:
    """Chopar's topics in the order of the flow, then the others that Kafka has."""
    found = await groups.topics()
    bounds = await groups.all_bounds([name for name in OURS if name in found])
    ours = [Topic(name, found.get(name, 0), True, bounds.get(name, {})) for name in OURS]
    return ours + [Topic(name, count, False) for name, count in sorted(found.items()) if name not in OURS]


async def look_at(groups: Groups) -> dict[tuple[str, str], dict[int, Look]]:
    """All partitions of all readers, now."""
    # first: a record that comes now is lag, not the other way round
    positions = {group: await groups.all_positions(group) for group in (APP, NOTIFY_APP)}
    bounds = await groups.all_bounds((EVENTS, LOG, DEAD))
    at = asyncio.get_running_loop().time()
    return {
        (group, topic): {n: Look(at, positions[group].get((topic, n)), one.begin, one.end) for n, one in bounds[topic].items()}
        for group, topic, _ in READERS
    }


def reader(agent: str, group: Group, topic: str, before: dict[int, Look], after: dict[int, Look]) -> Reader:
    """An agent as it stands, by two looks."""
    partitions = []
    for number, look in sorted(after.items()):
        owner = group.owner(topic, number)
        told = None if owner is None else f"{owner.client} {owner.host}"
        partitions.append(Standing(number, look, pace(before.get(number, look), look), told))
    return Reader(agent, group.name, topic, group.state, len(group.members), partitions)

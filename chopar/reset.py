"""Setting a group's offsets anew, for `chopar replay --reset-group`."""

from typing import TYPE_CHECKING, Final

from activity.errors import ChoparError, InUse
from activity.names import APP, EVENTS, LOG, NOTIFY_APP
from activity.replay import Move, Point, move
from chopar.points import chosen, offsets_of
from chopar.terminal import cell, out, printable, say, table, write_json

if TYPE_CHECKING:
    from streams.groups import Group, Groups

TOPICS: Final = {APP: EVENTS, NOTIFY_APP: LOG}
"""What a group may read again. Not the archiver's part: `chopar replay` does it better, it minds the mails."""


async def reset(group: str, since: Point, *, skip_unread: bool, dry: bool) -> list[Move]:
    """Set the group's offsets to `since`, unless it is `dry`; gives what moves. Raises ChoparError, and moves nothing then."""
    from brokers.discovery import read_settings
    from streams.groups import open_groups

    async with open_groups(read_settings()) as groups:
        refuse_members(await groups.group(group))
        moves = await plan(groups, group, since)
        skipping = next((one for one in moves if one.skipped), None)
        if skipping is not None and not skip_unread:
            raise ChoparError(
                f"--from: {TOPICS[group]}/{skipping.partition} is read up to {skipping.position:,} only: {skipping.skipped:,} "
                "records before --from would never be read; nothing was moved. Choose an earlier point, or --skip-unread"
            )
        moved = [one for one in moves if one.again or one.skipped]
        if moved and not dry:
            await groups.move(group, TOPICS[group], {one.partition: one.target for one in moved})
    return moves


async def plan(groups: "Groups", group: str, since: Point) -> list[Move]:
    """What would move, by partition."""
    topic = TOPICS[group]
    bounds, positions = await groups.bounds(topic), await groups.positions(group, topic)
    offsets = await offsets_of(groups, topic, since, bounds)
    return [
        move(number, bounds[number].begin, bounds[number].end, positions.get(number), offsets[number])
        for number in chosen(len(bounds), since)
    ]


def refuse_members(group: "Group") -> None:
    """Raises InUse if somebody is in the group, or was a moment ago."""
    if group.members or group.state not in ("Empty", "Dead"):
        members = sorted({printable(f"{member.client} {member.host}") for member in group.members})
        hosts = ", ".join(members) or group.state
        number = len(group.members)
        raise InUse(
            f"--reset-group: {group.name} has {number} member{'' if number == 1 else 's'} ({hosts}); nothing was moved. "
            "Stop them first; one that was killed is a member for 10 s more"
        )


def show(group: str, moves: list[Move], *, dry: bool, as_json: bool) -> None:
    """For people, or for programs."""
    topic = TOPICS[group]
    if as_json:
        rows = [{"partition": one.partition, "from": one.position, "to": one.target} for one in moves]
        write_json({"group": group, "topic": topic, "dry_run": dry, "moves": rows})
        return
    columns = ("partition", "position", "from now on", "read again", "never read")
    made = table(f"Group {group} of {topic}", columns, right=columns)
    for one in moves:
        never = cell(f"{one.skipped:,}", "red" if one.skipped else "")
        made.add_row(cell(one.partition), *(cell(f"{n:,}") for n in (one.position, one.target, one.again)), never)
    out().print(made)
    again, skipped = sum(one.again for one in moves), sum(one.skipped for one in moves)
    would = "would be" if dry else "will be"
    say(f"{again:,} records {would} read again" + (f", {skipped:,} never" if skipped else ""))

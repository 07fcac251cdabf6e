"""`chopar topics`: the topics on Kafka, created where they are missing, and checked."""

import asyncio
from typing import TYPE_CHECKING

import click
import msgspec

from chopar.terminal import cell, out, table, write_json

if TYPE_CHECKING:
    from streams.topics import TopicState


@click.command(short_help="Create and check the topics.")
@click.option("--check", is_flag=True, help="Create nothing, only look.")
@click.option("--json", "as_json", is_flag=True, help='Print {"created": […], "topics": [{"name", "partitions", "problem"}]}.')
@click.pass_context
def topics(context: click.Context, check: bool, as_json: bool) -> None:
    """Create the topics that are missing, and check those that are there. Exit code 1 if one can't be used.

    \b
    Example:  chopar topics --check
    """
    created, states = asyncio.run(run(check))
    if as_json:
        write_json({"created": created, "topics": [msgspec.structs.asdict(state) for state in states]})
    else:
        show(created, states)
    if any(state.problem for state in states):
        context.exit(1)


async def run(check: bool) -> tuple[list[str], list["TopicState"]]:
    """The names of those that were created, and how all stand. Raises ChoparError."""
    from activity.errors import Mismatch
    from brokers.discovery import read_settings
    from streams.topics import check_topics, ensure_topics

    settings = read_settings()
    created: list[str] = []
    if not check:
        try:
            created = await ensure_topics(settings)
        except Mismatch:
            created = []  # the check says the same, topic by topic
    return created, await check_topics(settings)


def show(created: list[str], states: list["TopicState"]) -> None:
    """A table for people."""
    rows = table("", ("topic", "partitions", "state"), right=("partitions",), flexible=("state",))
    for state in states:
        told = state.problem or ("created" if state.name in created else "ok")
        rows.add_row(cell(state.name), cell(state.partitions), cell(told, "red" if state.problem else "green", wrap=True))
    out().print(rows)

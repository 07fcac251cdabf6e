"""`chopar doctor`: whether everything is there that Chopar needs."""

import asyncio
from typing import TYPE_CHECKING

import click
import msgspec

from chopar.terminal import cell, out, table, write_json

if TYPE_CHECKING:
    from chopar.checkup import Check


@click.command(short_help="Look whether all that is needed is there.")
@click.option("--json", "as_json", is_flag=True, help='Print {"ok", "checks": [{"name", "ok", "found", "needed"}]}.')
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Look whether everything that Chopar needs is there and right, and say what to do where it is not.

    Exit code 1 if something that is needed is not right.

    \b
    Example:  chopar doctor
              chopar doctor --json | jq '.checks[] | select(.ok | not)'
    """
    checks = asyncio.run(run())
    well = all(check.ok or not check.needed for check in checks)
    if as_json:
        write_json({"ok": well, "checks": [msgspec.structs.asdict(check) for check in checks]})
    else:
        show(checks)
    if not well:
        context.exit(1)


async def run() -> list["Check"]:
    """The checks; settings that can't be read are the only one."""
    from activity.errors import ChoparError
    from brokers.discovery import given_settings, read_settings
    from chopar.checkup import Check, examine

    try:
        given, settings = given_settings(), read_settings()
    except ChoparError as error:
        return [Check("settings", False, str(error))]
    return [Check("settings", True, "can be read"), *await examine(settings, given)]


def show(checks: list["Check"]) -> None:
    """A table for people."""
    rows = table("", ("", "what", "found"), flexible=("found",))
    for check in checks:
        mark = cell("ok", "green") if check.ok else cell("wrong", "bold red") if check.needed else cell("not needed", "dim")
        rows.add_row(mark, cell(check.name), cell(check.found, wrap=True))
    out().print(rows)

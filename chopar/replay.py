"""`chopar replay`: history, run again."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from activity.names import APP, NOTIFY_APP
from activity.replay import Fate, Point
from chopar.points import PointType
from chopar.terminal import cell, fitting, out, table, write_json

if TYPE_CHECKING:
    from agents.replay import Change, What
    from chopar.passes import Result, Wish

POINT: Final = PointType()
TOLD: Final = {
    "restore": ("row is missing", "row restored"),
    "publish": ("job not in the ledger", "job published"),
    "hold": ("job may have been sent", "job noted as unknown"),
    "conflict": ("contradicts the store", "contradicts the store"),
    "refused": ("rule makes no job", "rule makes no job"),
    "unreadable": ("no record of the log", "no record of the log"),
}
"""What is said of a change before and after."""


@click.command(short_help="Run again over history, without sending mail twice.")
@click.option("--from", "since", type=POINT, required=True, help="Where to begin: a time, 2h (ago), an offset, PARTITION:OFFSET.")
@click.option("--to", "until", type=POINT, help="Where to end, exclusive. Default: where the worker is.")
@click.option("--user", help="Only this user's events.")
@click.option("--only", type=click.Choice(["store", "mail"]), help="Only restore rows, or only publish jobs.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--send-unknown", is_flag=True, help="Publish also jobs whose mail may have been sent.")
@click.option("--limit", type=click.IntRange(0, 1_000_000), default=20, show_default=True, help="List at most so many changes.")
@click.option("--reset-group", type=click.Choice([APP, NOTIFY_APP]), help="Replay nothing: set where this group goes on.")
@click.option("--skip-unread", is_flag=True, help="With --reset-group: forwards too; what lies between is never read.")
@click.option("--json", "as_json", is_flag=True, help='Print {"records", "rows", "jobs", "changes", …}.')
@click.pass_context
def replay(
    context: click.Context,
    since: Point,
    until: Point | None,
    user: str | None,
    only: str | None,
    dry_run: bool,
    send_unknown: bool,
    limit: int,
    reset_group: str | None,
    skip_unread: bool,
    as_json: bool,
) -> None:
    """Read `activity.log` again and do what is missing of it: rows that the store has lost are restored, jobs that the
    ledger does not know (their rule is new, or was mended) are published. What is there is passed over, and a job that
    was ever begun is never published again. The workers may run meanwhile.

    Where the store has lost rows it has lost what it knew of mails as well: jobs unknown to it are noted as `unknown`,
    not published, unless --send-unknown. Begin with --dry-run.

    --reset-group moves the group's committed offsets instead, while none of its workers runs: `chopar` sequences
    `activity.events` again, `chopar-notify` makes the jobs of `activity.log` again.

    \b
    Example:  chopar replay --from 2h --dry-run
              chopar replay --from 2026-01-31T09:30:00Z --to 1h --only mail
              chopar replay --from 0 --user u-42 --json
              chopar replay --reset-group chopar-notify --from 3:1200
    """
    if reset_group is not None:
        if until is not None or user is not None or only or send_unknown:
            raise click.UsageError("--reset-group moves a whole group; --to, --user, --only and --send-unknown are not for it")
        _reset(reset_group, since, skip_unread=skip_unread, dry=dry_run, as_json=as_json)
        return
    if skip_unread:
        raise click.UsageError("--skip-unread is for --reset-group")
    if only == "store" and send_unknown:
        raise click.UsageError("--only store publishes nothing; leave --send-unknown out")
    from chopar.passes import Wish, run

    wish = Wish(since, until, user, only != "mail", only != "store", send_unknown, limit)
    result = asyncio.run(run(wish, dry=dry_run))
    if as_json:
        write_json(document(result, wish, dry=dry_run))
    else:
        show(result, wish, dry=dry_run)
    if result.survey.conflicts and not dry_run:
        context.exit(1)


def _reset(group: str, since: Point, *, skip_unread: bool, dry: bool, as_json: bool) -> None:
    from chopar.reset import reset, show

    show(group, asyncio.run(reset(group, since, skip_unread=skip_unread, dry=dry)), dry=dry, as_json=as_json)


def document(result: "Result", wish: "Wish", *, dry: bool) -> dict[str, Any]:
    """The result as JSON. `done` is all zeros for a dry run; `jobs` says of each rule how many would get which fate."""
    survey = result.survey
    return {
        "dry_run": dry,
        "records": survey.records,
        "expired": result.missing,
        "unreadable": survey.unreadable,
        "rows": {"missing": survey.missing, "conflicts": survey.conflicts},
        "jobs": {rule: _fates(fates) for rule, fates in survey.rules(send_unknown=wish.send_unknown).items()},
        "refused": survey.refused,
        "done": {"restored": result.restored, "published": result.published, "held": result.held},
        "changes": [msgspec.structs.asdict(change) for change in changes(result, wish)],
    }


def changes(result: "Result", wish: "Wish") -> list["Change"]:
    """Those of what was wished for."""
    without: tuple[What, ...] = ("restore", "conflict") if not wish.store else ("publish", "refused") if not wish.mail else ()
    return result.survey.changes(send_unknown=wish.send_unknown, without=without)


def _fates(fates: Counter[Fate]) -> dict[Fate, int]:
    return {fate: fates[fate] for fate in ("known", "publish", "hold")}


def show(result: "Result", wish: "Wish", *, dry: bool) -> None:
    """Tables for people."""
    survey = result.survey
    listed = changes(result, wish)
    if listed:
        out().print(_listing(listed, dry=dry))
        out().print()
    by_rule = survey.rules(send_unknown=wish.send_unknown)
    if by_rule and wish.mail:
        columns = ("rule", "jobs", "in the ledger", "not in it", "may have been sent")
        rows = table("Jobs", columns, right=columns[1:])
        for rule, fates in by_rule.items():
            numbers = (fates.total(), fates["known"], fates["publish"], fates["hold"])
            rows.add_row(cell(rule), *(cell(f"{number:,}") for number in numbers))
        out().print(rows)
        out().print()
    for line in summary(result, wish, dry=dry):
        out().print(cell(line, wrap=True))


def summary(result: "Result", wish: "Wish", *, dry: bool) -> list[str]:
    """What is left to say, in lines."""
    survey = result.survey
    total = survey.fates(send_unknown=wish.send_unknown)
    lines = [f"read again: {survey.records:,} records"]
    if wish.store:
        lines.append(f"rows: {_done(dry, survey.missing, result.restored, 'restored')}")
    if wish.mail:
        lines.append(f"jobs: {_done(dry, total['publish'], result.published, 'published')}")
    if total["hold"]:
        noted = _done(dry, total["hold"], result.held, "noted as unknown")
        lines.append(f"jobs that may have been sent: {noted}, since the store has lost rows; --send-unknown publishes them")
    if not survey.records:
        lines.append("there is nothing in this range that the worker has read; `chopar lag` shows how far it is")
    remarks = (
        ("contradicting the store", survey.conflicts, "another event stands at the position; `chopar log USER` shows it"),
        ("jobs that a rule could not make", survey.refused, "their events lack something"),
        ("no records of the log", survey.unreadable, "they are on activity.dead"),
        ("no longer on Kafka", result.missing, "raise the topic's retention.ms to keep more"),
    )
    return lines + [f"{what}: {number:,}; {told}" for what, number, told in remarks if number]


def _done(dry: bool, found: int, done: int, how: str) -> str:
    return f"{found:,} would be {how}" if dry else f"{done:,} {how}"


def _listing(listed: list["Change"], *, dry: bool) -> Any:
    facts: dict[str, Callable[[Change], Any]] = {
        "what": lambda change: TOLD[change.what][not dry],
        "user": lambda change: change.user,
        "#": lambda change: change.position,
        "type": lambda change: change.type,
        "rule": lambda change: change.rule,
        "job": lambda change: change.job,
        "partition": lambda change: change.partition,
        "offset": lambda change: change.offset,
        "problem": lambda change: change.problem,
    }
    facts = {name: fact for name, fact in facts.items() if any(fact(change) not in ("", None) for change in listed)}
    rows = [[cell(fact(change)) for fact in facts.values()] for change in listed]
    title = "What would change" if dry else "What was changed"
    drop = [name for name in ("job", "type", "rule", "problem") if name in facts]
    flexible = ("user", "problem", "type", "rule")
    return fitting(title, list(facts), rows, drop=drop, right=("#", "partition", "offset"), flexible=flexible)

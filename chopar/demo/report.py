"""What the demo shows at its end."""

from collections import Counter
from collections.abc import Sequence
from email.message import EmailMessage

from rich.table import Table

from chopar.demo.checks import ended_so
from chopar.demo.evidence import Evidence
from chopar.demo.mails import Mailing
from chopar.demo.traffic import Traffic
from chopar.terminal import cell, out, printable, table


def show(traffic: Traffic, mailing: Mailing, found: Evidence) -> None:
    """What came of every record and every email."""
    for shown in (_records(traffic, found), _refusals(traffic, found), _emails(mailing, found)):
        out().print(shown)
        out().print()


def _records(traffic: Traffic, found: Evidence) -> Table:
    planned = Counter(record.fate for record in traffic.all)
    verdicts = Counter(row.verdict for row in found.stored)
    rows = table("What came of every record", ("", "sent so", "found", "counted on"), right=("sent so", "found"))
    lines: list[tuple[str, int, int, str]] = [
        ("logged", planned["logged"], verdicts["logged"], "the store"),
        ("late", planned["late"], verdicts["late"], "the store"),
        ("duplicate", planned["duplicate"], found.duplicates, "the sequencer's table"),
        ("dead", planned["dead"], len(found.dead), "activity.dead"),
        ("waiting", 0, found.waiting, "the sequencer's table"),
    ]
    for name, sent, count, where in lines:
        rows.add_row(cell(name), cell(f"{sent:,}"), cell(f"{count:,}"), cell(where))
    rows.add_section()
    rows.add_row(cell("sum"), cell(f"{len(traffic.all):,}"), cell(f"{sum(line[2] for line in lines):,}"), cell(""))
    rows.add_row(cell("read"), cell(f"{len(traffic.all):,}"), cell(f"{found.read:,}"), cell("activity.events"))
    return rows


def _refusals(traffic: Traffic, found: Evidence) -> Table:
    planned = Counter(record.reason for record in traffic.all if record.fate == "dead")
    dead = Counter(record.reason for record in found.dead)
    rows = table("Why records are dead", ("reason", "sent so", "found"), right=("sent so", "found"))
    for reason in sorted(planned.keys() | dead.keys()):
        rows.add_row(cell(reason), cell(planned[reason]), cell(dead[reason]))
    return rows


def _emails(mailing: Mailing, found: Evidence) -> Table:
    columns = ("", "expected", "ledger", "inbox")
    rows = table("What came of every email", columns, right=columns[1:])
    names = {
        "first try": "sent",
        "later try": "sent after the server refused its first try (451)",
        "refused": "dead: the server always refuses it (550)",
        "bad address": "dead: its address is none",
    }
    total = Counter[str]()
    for ending, name in names.items():
        ids = [id for id, mail in mailing.jobs.items() if mail.ending == ending]
        ledger = sum(id in found.jobs and ended_so(found.jobs[id], mailing.jobs[id]) for id in ids)
        inbox = sum(found.mails.get(id, 0) for id in ids)
        rows.add_row(cell(name), cell(len(ids)), cell(ledger), cell(inbox))
        total.update(expected=len(ids), ledger=ledger, inbox=inbox)
    rows.add_section()
    rows.add_row(cell("sum"), cell(total["expected"]), cell(total["ledger"]), cell(total["inbox"]))
    rows.add_row(cell("no email: the event lacks an address"), cell(mailing.unfit), cell(""), cell(""))
    return rows


def show_mail(message: EmailMessage) -> None:
    """One email, as its reader sees it."""
    body = message.get_body(("plain",))
    out().print("One of the emails", style="bold")
    for name in ("From", "To", "Subject", "Message-ID"):
        out().print(f"  {name}: {printable(message[name])}")
    for line in str(body.get_content() if body else "").splitlines():
        out().print(f"  | {printable(line)}")
    out().print()


def show_differences(found: Sequence[str]) -> None:
    """The verdict."""
    if not found:
        out().print("All sums add up: nothing lost, nothing twice, every log in order.", style="bold green")
    for sentence in found:
        out().print(f"wrong: {printable(sentence)}", style="bold red")
    out().print()

"""Whether what a side did is whole: by its marks, its queue, its mails, and the ledger where it has one."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Final

from benchmarks.jobs.sink import SEPARATOR
from benchmarks.peers.jobs.work import RECORD

READ: Final = 50
"""Of so many mails one is read in full; all are counted."""
SHOWN: Final = 5

Mark = tuple[int, float]


def marks(file: Path) -> list[Mark]:
    """All that are whole."""
    if not file.exists():
        return []
    raw = file.read_bytes()
    return list(RECORD.iter_unpack(raw[: len(raw) // RECORD.size * RECORD.size]))


def complete(numbers: Iterable[int], jobs: int, what: str) -> list[str]:
    """Problems, if not each of `jobs` numbers is there exactly once."""
    found = Counter(numbers)
    missing = [number for number in range(jobs) if not found[number]]
    twice = [number for number, count in found.items() if count > 1]
    strange = [number for number in found if not 0 <= number < jobs]
    told = (("missing", missing), ("more than once", twice), ("strange", strange))
    return [f"{what}: {len(some)} {problem}, as {some[:SHOWN]}" for problem, some in told if some]


def rate(found: Sequence[Mark]) -> float:
    """Jobs a second between the first mark and the last."""
    times = [at for _, at in found]
    return (len(times) - 1) / (max(times) - min(times)) if len(times) > 1 and max(times) > min(times) else 0.0


def mail_problems(file: Path, jobs: int) -> list[str]:
    """What is wrong with the mails that the sink has: all are there, and those that are read say all they have to."""
    mails = file.read_bytes().split(SEPARATOR)[:-1]
    wrong = [] if len(mails) == jobs else [f"the sink has {len(mails)} of {jobs} mails"]
    return [*wrong, *(problem for mail in mails[::READ] if (problem := unread(mail)))][:SHOWN]


def unread(raw: bytes) -> str | None:
    """What is wrong with a mail."""
    mail = message_from_bytes(raw.replace(b"\r\n..", b"\r\n."), policy=default)
    order = str(mail["Subject"]).rpartition(" ")[2]
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    if mail["To"] is None or mail["From"] is None or mail["Message-ID"] is None or mail["Date"] is None:
        return f"{order}: a header is missing"
    for part in (text, html):
        says = part.get_content() if isinstance(part, EmailMessage) else ""
        if order not in says or "Rose für Jörg" not in says or "9.00" not in says:
            return f"{order}: a part does not say what it has to"
    return None


def ledger_problems(file: Path, jobs: int) -> list[str]:
    """What is wrong with a ledger in which `jobs` jobs have to be sent, each by one attempt."""
    if not file.exists():
        return ["there is no ledger"]
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
        states = dict(database.execute("SELECT state, count(*) FROM job GROUP BY state").fetchall())
        (attempts,) = database.execute("SELECT count(*) FROM attempt WHERE outcome = 'sent'").fetchone()
    wrong = [] if states == {"sent": jobs} else [f"the ledger has {states}"]
    return [*wrong, *([] if attempts == jobs else [f"the ledger has {attempts} attempts that sent"])]

"""The end of the demo: one user's log, one email, and how to look further."""

import shutil
import sys
from pathlib import Path

from activity.names import EVENTS
from activity.settings import Settings
from chopar import log
from chopar.demo.mails import Mailing
from chopar.demo.report import show_mail
from chopar.demo.traffic import Traffic
from chopar.inbox.folder import Folder, read_mail
from chopar.machine import inbox_folder
from chopar.terminal import out
from store.opening import Store
from streams.topics import kafka_address

ROWS = 12


async def show_example(store: Store, plan: Traffic, mails: Mailing, inbox: Folder) -> None:
    """The log of a user who got an order confirmation at the second try, and that email."""
    ids = [id for id, mail in mails.jobs.items() if mail.ending == "later try"]
    ids.sort(key=lambda id: mails.jobs[id].rule != "order_confirmation")
    user = mails.jobs[ids[0]].user if ids else plan.users[0]
    log.show(user, await store.log.read(user, limit=ROWS))
    out().print()
    for mail in inbox.mails():
        if ids and mail.message_id.partition("@")[0] == ids[0]:
            show_mail(read_mail(mail.path))


def show_hints(settings: Settings, plan: Traffic, keep: bool) -> None:
    """Commands that can be typed as they stand."""
    command = invocation()
    here = f"CHOPAR_DATA_DIR={settings.data_dir} {command}"
    user = plan.users[0]
    lines = [
        f"{here} log {user} --json",
        f"{here} jobs --state dead",
        f"emails   {inbox_folder(settings) / 'new'}",
        f"logs     {settings.data_dir / 'logs'}",
    ]
    if keep:
        lines += [
            f"web      http://{settings.web_host}:{settings.web_port}/",
            f"{here} send examples/events.jsonl",
            f"kcat -P -b {kafka_address(settings)} -t {EVENTS} -K '|' -X partitioner=murmur2_random -l examples/keyed.txt",
        ]
    else:
        lines.append(f"{command} demo --keep    leaves it running, to be fed with `chopar send`")
    out().print("To look further", style="bold")
    for line in lines:
        out().print(f"  {line}")


def invocation() -> str:
    """How `chopar` can be called from here."""
    if shutil.which("chopar"):
        return "chopar"
    script = Path(sys.executable).with_name("chopar")
    return str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)

"""What a mail costs to make, rendered and put into bytes: `make bench`. No broker, no mail server.

Two sides do the same for the same jobs, in turn, and both are read back by Python's parser: this project's, and
`email.message.EmailMessage` as its documentation shows it. The ratio of a round is what counts; the figures of one machine
mean nothing on another.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from email.utils import formatdate
from functools import partial
from pathlib import Path

from activity.jobs import Job
from rabbit.address import Address
from rabbit.message import Skeleton
from rabbit.templates import Rendered, Templates

Maker = Callable[[Job], bytes]
SENDER, RECIPIENT = Address("mail@shop.example", "Shop"), Address("joerg@example.com", "Jörg Müller")
READ = ("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted")


def order(number: int) -> Job:
    """An order whose confirmation is a text and an HTML part of together 2 kB."""
    items = [{"quantity": count, "name": f"Rose für Jörg, Nr. {number}", "price": 1.5 * count} for count in (1, 2, 3)]
    data = {"order": f"A-{number}", "items": items, "total": 9.0}
    event = {"id": str(number), "source": "/shop", "type": "order.placed", "subject": "u-1", "time": None, "data": data}
    return Job(
        id=f"job-{number}",
        rule="order_confirmation",
        job_class="transactional",
        user="u-1",
        to="joerg@example.com",
        template="order_confirmation",
        event=event,
    )


def rendered(templates: Templates, job: Job) -> Rendered:
    """Both sides render, each mail anew."""
    mail = templates.render(job)
    if not isinstance(mail, Rendered):
        raise SystemExit(f"{mail.reason}: {mail.reply}")
    return mail


def by_skeleton(templates: Templates) -> Maker:
    """As the mailer does it."""
    skeleton = Skeleton(SENDER)

    def make(job: Job) -> bytes:
        content = skeleton.fill(job.id, RECIPIENT, rendered(templates, job), time.time())
        if not isinstance(content, bytes):
            raise SystemExit(content.reason)
        return content

    return make


def by_email_message(templates: Templates) -> Maker:
    """As most would do it."""

    def make(job: Job) -> bytes:
        mail, message = rendered(templates, job), EmailMessage(policy=SMTP)
        message["From"] = f"{SENDER.name} <{SENDER.mailbox}>"
        message["To"] = f"{RECIPIENT.name} <{RECIPIENT.mailbox}>"
        message["Subject"] = mail.subject
        message["Date"] = formatdate(time.time())
        message["Message-ID"] = f"<{job.id}@{SENDER.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        message.add_alternative(mail.html or "", subtype="html")
        return message.as_bytes()

    return make


def says(content: bytes) -> list[str]:
    """All that a reader sees of a message."""
    message = message_from_bytes(content, policy=default)
    parts = [part.get_content().replace("\r\n", "\n") for part in message.iter_parts()]
    return [str(message[name]) for name in READ if name != "Date"] + parts


def seconds(make: Callable[[Job], object], jobs: list[Job]) -> float:
    """Processor time for all of them: others on the machine don't count."""
    begin = time.process_time()
    for job in jobs:
        make(job)
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    templates, jobs = Templates(Path("templates")), [order(number) for number in range(arguments.mails)]
    ours, theirs = by_skeleton(templates), by_email_message(templates)
    for job in jobs[:100]:
        if says(ours(job)) != says(theirs(job)):
            raise SystemExit(f"the two sides of {job.id} don't read the same")
    ratios = []
    for number in range(1, arguments.rounds + 1):
        render = seconds(partial(rendered, templates), jobs)
        skeleton, message = seconds(ours, jobs), seconds(theirs, jobs)
        ratios.append(message / skeleton)
        each = "   ".join(
            f"{name} {spent / len(jobs) * 1e6:7.1f} µs"
            for name, spent in (("render alone", render), ("by skeleton", skeleton), ("by EmailMessage", message))
        )
        sys.stdout.write(f"round {number}   {each}   ratio {ratios[-1]:5.1f}\n")
    sys.stdout.write(
        f"a mail by skeleton is made {statistics.median(ratios):.1f} times as fast (median), the same when read back\n"
    )


if __name__ == "__main__":
    main()

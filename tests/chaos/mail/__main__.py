"""`make chaos-mail`: python -m tests.chaos.mail [--seed N] [--mix NAME] [--rate N]. Exits with 1 if a promise was broken."""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

from rabbit.outage import quiet_libraries
from tests.chaos.findings import Findings, say, tell
from tests.chaos.mail.run import MIXES, Run, storm
from tests.nodes import rabbitmq_node


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.mail", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--mix", choices=sorted(MIXES), default="all")
    parser.add_argument("--rate", type=int, default=500, help="jobs a second")
    parser.add_argument("--mailers", type=int, default=2)
    parser.add_argument("--workers", type=int, default=4, help="workers of each mailer")
    parser.add_argument("--keep", action="store_true", help="keep the logs and the store, also if nothing was broken")
    given = parser.parse_args()
    quiet_libraries()
    folder = Path(tempfile.mkdtemp(prefix="chopar-chaos-"))
    say(f"seed {given.seed}, mix {given.mix}, {given.rate} jobs/s; logs in {folder}")
    findings = asyncio.run(run(Run(given.seed, given.mix, given.rate, given.mailers, given.workers), folder))
    tell(findings)
    if findings.broken or given.keep:
        say(f"left in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if findings.broken else 0)


async def run(wanted: Run, folder: Path) -> Findings:
    """On a broker of its own."""
    rabbit = rabbitmq_node(folder / "rabbitmq")
    try:
        await rabbit.start()
        return await storm(wanted, folder, rabbit)
    finally:
        await rabbit.kill()


if __name__ == "__main__":
    main()

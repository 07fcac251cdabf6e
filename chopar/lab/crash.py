"""A consumer is killed between its work and its commit, or the other way round, and started again."""

import asyncio
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec

from chopar.lab.kafka import Lab, numbered
from chopar.lab.teller import Teller
from chopar.processes import HOME
from rabbit.failpoints import VARIABLE

RECORDS: Final = numbered(1, 6)
AT: Final = 4


class Case(msgspec.Struct, frozen=True):
    """A consumer, and the point at which it is killed with its fourth record in hand."""

    order: str
    killed: str
    point: str


CASES: Final = (
    Case("work, then commit", "before the commit", "consumer.committing"),
    Case("work, then commit", "after the commit", "consumer.committed"),
    Case("commit, then work", "after the commit", "consumer.committed"),
    Case("work once, then commit", "before the commit", "consumer.committing"),
)


async def crash(lab: Lab, teller: Teller) -> None:
    """Runs each case in processes of its own, all cases side by side."""
    await teller.step(
        f"Four consumers, {len(RECORDS)} records each. SIGKILL hits each of them at its record {AT}; then it is started again.\n"
        "The last one writes each result under the record's id, and looks there before it works."
    )
    with tempfile.TemporaryDirectory() as folder:
        done = await asyncio.gather(*(_run(lab, case, Path(folder) / str(at)) for at, case in enumerate(CASES)))
    rows = [[case.order, case.killed, *_judge(results)] for case, results in zip(CASES, done, strict=True)]
    teller.rows(["consumer", "killed", "done twice", "never done"], rows)
    teller.showed(
        "work first may repeat (at least once), commit first may lose (at most once). A repeat does no harm where the work\n"
        "looks whether it was done: work first, and work that may be repeated. That is Chopar's way everywhere."
    )


async def _run(lab: Lab, case: Case, results: Path) -> list[str]:
    """What the consumer has done after it was killed once and then let be."""
    topic, group = await lab.topic(), lab.name("group")
    await lab.send(topic, RECORDS)
    argv = ("-m", "chopar.lab.consumer", lab.address, topic, group, case.order, str(results))
    for failpoint in (f"{case.point}:{AT}", ""):
        path = os.pathsep.join(filter(None, (str(HOME), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, VARIABLE: failpoint, "PYTHONPATH": path}
        process = await asyncio.create_subprocess_exec(sys.executable, *argv, env=environment)
        await process.wait()
    return await asyncio.to_thread(lambda: results.read_text().split())


def _judge(results: list[str]) -> list[str]:
    """What was done twice, and what never."""
    counts = Counter(results)
    return [" ".join(name for name in RECORDS if counts[name] > 1), " ".join(name for name in RECORDS if not counts[name])]

"""A worker whose sequencer has a bug: at its third chunk it raises."""

import sys
from itertools import count
from typing import Any

from faust.cli.faust import cli

from activity.sequencing import Step, sequence
from agents import sequencer

_chunks = count(1)


def raising(*arguments: Any) -> Step:
    """As `sequence`, twice."""
    if next(_chunks) == 3:
        raise RuntimeError("a bug")
    return sequence(*arguments)


if __name__ == "__main__":
    vars(sequencer)["sequence"] = raising
    sys.argv = ["faust", "-A", "streams.main", "worker", "-l", "info"]
    cli()

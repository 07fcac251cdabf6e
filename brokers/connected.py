"""Whether this container is connected to a port elsewhere: `python -m brokers.connected PORT` ends with 0 if so.

The health check of processes that serve no port themselves.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
ESTABLISHED: Final = "01"


def is_connected(port: int, tables: Iterable[Path] = TABLES) -> bool:
    """Whether a connection of this network namespace to `port` of any host is established."""
    for table in tables:
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            _, _, remote, state, *_ = line.split()
            if state == ESTABLISHED and int(remote.rpartition(":")[2], 16) == port:
                return True
    return False


if __name__ == "__main__":
    sys.exit(0 if is_connected(int(sys.argv[1])) else 1)

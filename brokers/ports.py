"""Free ports on loopback that stay the same from start to start."""

import json
import random
import socket
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
LOWEST: Final = 10240
_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def keep(path: Path, names: tuple[str, ...]) -> dict[str, int]:
    """A port for each name: those in the file at `path` while they are free, else new ones, which are written there."""
    try:
        ports = {name: int(json.loads(path.read_text())[name]) for name in names}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        ports = {}
    if not ports or not all(is_free(port) for port in ports.values()):
        ports = dict(zip(names, choose(len(names)), strict=True))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(ports))
    return ports


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen()
        except OSError:
            return False
    return True


def choose(count: int) -> list[int]:
    """Free ports below those that the kernel gives to outgoing connections.

    From among those, a client that tries again and again to reach a stopped broker ends up connected to itself, and
    keeps the port from the broker.
    """
    highest = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32768
    chosen: list[int] = []
    source = random.SystemRandom()
    while len(chosen) < count:
        port = source.randrange(LOWEST, max(highest, LOWEST + 1000))
        if port not in chosen and is_free(port):
            chosen.append(port)
    return chosen

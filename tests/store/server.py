"""A private Postgres for the tests: in a folder of its own, on a free port, gone when the block ends."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

USER: Final = "chopar"
PASSWORD: Final = "sesame:@/%"
"""Has every character that an URL has to escape: it must come through, and never come out."""
QUOTED: Final = "sesame%3A%40%2F%25"


def programs() -> Path | None:
    """Where Postgres' programs are on this machine; the newest version's."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def running(bin: Path) -> Iterator[str]:
    """`postgresql://user:password@127.0.0.1:port` of a server that runs."""
    folder = Path(tempfile.mkdtemp(prefix="chopar-postgres-"))
    user = _unprivileged()
    if user is not None:
        shutil.chown(folder, user)
    try:
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if user is not None:
            shutil.chown(secret, user)
        options = [f"--username={USER}", f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
        subprocess.run(
            [bin / "initdb", "--pgdata", folder / "data", "--no-sync", *options],
            user=user, cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
        with _server(bin, folder, user) as port:
            yield f"postgresql://{USER}:{QUOTED}@127.0.0.1:{port}"
    finally:
        shutil.rmtree(folder)


@contextmanager
def _server(bin: Path, folder: Path, user: str | None) -> Iterator[int]:
    port = _free_port()
    settings = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_connections=40"]
    arguments = [part for setting in settings for part in ("-c", setting)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [bin / "postgres", "-D", folder / "data", *arguments], user=user, cwd=folder, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 60
        while subprocess.run([bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)], check=False).returncode:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "log").read_text())
            time.sleep(0.05)
        yield port
    finally:
        server.send_signal(signal.SIGINT)  # "fast": ends without waiting for its clients
        server.wait(60)


def _unprivileged() -> str | None:
    """Postgres refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

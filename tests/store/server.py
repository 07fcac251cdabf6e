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

import msgspec

USER: Final = "chopar"
PASSWORD: Final = "sesame:@/%"
"""Has every character that an URL has to escape: it must come through, and never come out."""
QUOTED: Final = "sesame%3A%40%2F%25"


def programs() -> Path | None:
    """Where Postgres' programs are on this machine; the newest version's."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class Server(msgspec.Struct, frozen=True):
    """A server that is there, whether it runs or not."""

    bin: Path
    folder: Path
    user: str | None
    port: int

    @property
    def url(self) -> str:
        """Without a database."""
        return f"postgresql://{USER}:{QUOTED}@127.0.0.1:{self.port}"


@contextmanager
def made(bin: Path) -> Iterator[Server]:
    """A server that does not run, and is gone when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="chopar-postgres-"))
    server = Server(bin, folder, _unprivileged(), _free_port())
    try:
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if server.user is not None:
            shutil.chown(folder, server.user)
            shutil.chown(secret, server.user)
        options = [f"--username={USER}", f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
        command: list[str | Path] = [bin / "initdb", "--pgdata", folder / "data", "--no-sync", *options]
        subprocess.run(command, user=server.user, cwd=folder, check=True, capture_output=True)
        yield server
    finally:
        shutil.rmtree(folder)


@contextmanager
def up(server: Server) -> Iterator[None]:
    """The server runs and answers. When the block ends it stops, whoever is connected."""
    settings = [f"port={server.port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"]
    arguments = [part for setting in settings for part in ("-c", setting)]
    command: list[str | Path] = [server.bin / "postgres", "-D", server.folder / "data", *arguments]
    with (server.folder / "log").open("ab") as log:
        process = subprocess.Popen(command, user=server.user, cwd=server.folder, stdout=log, stderr=log)
    try:
        ask: list[str | Path] = [server.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(server.port)]
        deadline = time.monotonic() + 60
        while subprocess.run(ask, check=False).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((server.folder / "log").read_text())
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGINT)  # "fast": does not wait for its clients
        process.wait(60)


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

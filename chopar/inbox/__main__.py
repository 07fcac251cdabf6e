"""A local mail inbox until SIGTERM or Ctrl-C: `python -m chopar.inbox PORT FOLDER`."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

from chopar.inbox.folder import Folder
from chopar.inbox.server import serve

HOST: Final = "127.0.0.1"


async def run(port: int, path: Path) -> None:
    """Serves until a signal."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await serve(Folder(path), HOST, port)
    sys.stderr.write(f"inbox: smtp://{HOST}:{port} keeps mail in {path}\n")
    async with server:
        await stop.wait()


def main() -> int:
    """1 with one line on stderr if the port is taken or the folder can't be written."""
    try:
        asyncio.run(run(int(sys.argv[1]), Path(sys.argv[2])))
    except OSError as error:
        sys.stderr.write(f"inbox: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

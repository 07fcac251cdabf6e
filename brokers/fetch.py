"""Gets files from a Maven repository over HTTP."""

import asyncio
import base64
import hashlib
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from activity.errors import ChoparError
from activity.settings import redact
from brokers.failures import first_of

AT_ONCE: Final = 4
TIMEOUT: Final = 60.0
CHUNK: Final = 1 << 20

logger = logging.getLogger(__name__)


class WrongChecksum(ChoparError):
    """A file is not the pinned one. It is not kept; the text names it and both checksums."""


async def fetch_all(base_url: str, files: Mapping[str, str], folder: Path) -> None:
    """Each file of `files` (path -> sha256) into `folder` under its own name.

    Raises ChoparError for the first one that can't be had or is not the pinned one. When cancelled it ends at the next chunk.
    However it ends, nothing is written to `folder` any more.
    """
    slots = asyncio.Semaphore(AT_ONCE)
    stop = threading.Event()
    threads: list[asyncio.Future[None]] = []

    async def one(path: str, checksum: str) -> None:
        async with slots:
            thread = asyncio.ensure_future(asyncio.to_thread(_fetch, base_url, path, checksum, folder / Path(path).name, stop))
            threads.append(thread)
            await asyncio.shield(thread)

    try:
        async with asyncio.TaskGroup() as group:
            for path, checksum in files.items():
                group.create_task(one(path, checksum))
    except BaseExceptionGroup as errors:
        raise first_of(errors) from None
    finally:
        stop.set()
        await asyncio.gather(*threads, return_exceptions=True)  # a thread can't be cancelled, only asked to end


def _fetch(base_url: str, path: str, checksum: str, target: Path, stop: threading.Event) -> None:
    digest = hashlib.sha256()
    request = _request(f"{base_url.rstrip('/')}/{path}")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, target.open("wb") as file:  # noqa: S310 - settings allow http(s) only
            while not stop.is_set() and (chunk := answer.read(CHUNK)):
                digest.update(chunk)
                file.write(chunk)
    except urllib.error.HTTPError as error:
        error.close()
        raise _failed(base_url, path, f"it answers {error.code}") from None
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise _failed(base_url, path, str(getattr(error, "reason", error))) from None
    if not stop.is_set() and digest.hexdigest() != checksum:
        raise WrongChecksum(
            f"{path} from {redact(base_url)} has the checksum {digest.hexdigest()}, not {checksum}; nothing was kept"
        )


def _failed(base_url: str, path: str, problem: str) -> ChoparError:
    return ChoparError(f"CHOPAR_MAVEN_URL: could not get {path} from {redact(base_url)} ({problem}); is it a Maven repository?")


def _request(url: str) -> urllib.request.Request:
    """With the user and password of the URL, if it has them, where a server expects them."""
    parts = urlsplit(url)
    request = urllib.request.Request(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl())  # noqa: S310 - as above
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    return request

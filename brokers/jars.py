"""The jars of a Kafka broker: got once a user, checked against the pinned checksums at each start.

`kafka-4.3.1.sha256` has a line for each jar, `sha256  path in a Maven repository`. It is made from what `pom.xml` resolves to:

    mvn -f brokers/pom.xml org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \\
        -DoutputDirectory=/tmp/jars -Dmdep.useRepositoryLayout=true -DincludeScope=runtime
    cd /tmp/jars && find . -name '*.jar' -printf '%P\\n' | sort | xargs sha256sum
"""

import asyncio
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from activity.errors import ChoparError
from brokers.child import Child
from brokers.fetch import fetch_all
from brokers.lock import AlreadyRunning, Lock
from brokers.supervisor import Crashed, run

VERSION: Final = "4.3.1"
PINNED: Final = Path(__file__).with_name(f"kafka-{VERSION}.sha256")
POM: Final = Path(__file__).with_name("pom.xml")
PLUGIN: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
PATIENCE: Final = 900.0

logger = logging.getLogger(__name__)


def pinned(path: Path = PINNED) -> dict[str, str]:
    """The checksum of each jar by its path in a Maven repository."""
    lines = path.read_text().splitlines()
    return {jar: checksum for checksum, jar in (line.split() for line in lines)}


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the jars are kept for all clones of this user."""
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chopar"


async def install(cache: Path, maven_url: str | None, jars: Mapping[str, str]) -> Path:
    """The folder with exactly `jars`, each with its checksum.

    Got by `mvn`, or from the Maven repository at `maven_url`. The folder appears in one step with all of them in it: a
    process that is killed half-way leaves nothing that a later one takes for whole. Others that install at the same
    time wait. Raises ChoparError that says what to do.
    """
    folder = cache / f"kafka-{VERSION}"
    if await asyncio.to_thread(_flaw, folder, jars) is None:
        return folder
    lock = Lock(cache / f"kafka-{VERSION}.lock")
    try:
        await _wait_for(lock)
        if await asyncio.to_thread(_flaw, folder, jars) is None:
            return folder
        draft = await asyncio.to_thread(_draft, cache)
        try:
            await _get(draft, maven_url, jars)
            await asyncio.to_thread(_put_in_place, draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise ChoparError(
            f"{cache}: could not keep Kafka's jars there ({error.strerror}); free some space, or set XDG_CACHE_HOME"
        ) from None
    finally:
        lock.release()
    return folder


async def _wait_for(lock: Lock) -> None:
    told = False
    while True:
        try:
            return await lock.acquire()
        except AlreadyRunning:
            if not told:
                logger.info("another process installs Kafka; waiting for it")
                told = True
            await asyncio.sleep(0.2)


async def _get(draft: Path, maven_url: str | None, jars: Mapping[str, str]) -> None:
    mvn = shutil.which("mvn")
    if mvn is None and maven_url is None:
        raise ChoparError("Kafka is not installed yet: apt-get install maven, or set CHOPAR_MAVEN_URL to a Maven repository")
    logger.info("getting Kafka %s (%d jars, 54 MB); only the first time", VERSION, len(jars))
    try:
        if mvn is not None:
            await _ask_maven(mvn, draft)
        elif maven_url is not None:
            await fetch_all(maven_url, jars, draft)
    except Crashed as error:
        if maven_url is None:
            raise
        logger.warning("mvn did not get Kafka (%s); trying CHOPAR_MAVEN_URL", str(error).partition("\n")[0])
        await asyncio.to_thread(_clear, draft)
        await fetch_all(maven_url, jars, draft)
    if (flaw := await asyncio.to_thread(_flaw, draft, jars)) is not None:
        raise ChoparError(f"Kafka is not installed: {flaw}; nothing was kept, try again or use another Maven repository")


async def _ask_maven(mvn: str, draft: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        await run(
            Child(
                name="mvn",
                argv=[mvn, "-q", "-B", "-f", str(POM), PLUGIN, f"-DoutputDirectory={draft}", "-DincludeScope=runtime"],
                env=os.environ,
                log_path=Path(folder) / "mvn.log",
                deadline=PATIENCE,
            )
        )


def _draft(cache: Path) -> Path:
    """A new folder to fill, with those gone that were left half-filled (we hold the lock: no one fills them now)."""
    for leftover in cache.glob(f"kafka-{VERSION}.new-*"):
        shutil.rmtree(leftover)
    return Path(tempfile.mkdtemp(prefix=f"kafka-{VERSION}.new-", dir=cache))


def _clear(draft: Path) -> None:
    for leftover in draft.iterdir():
        leftover.unlink()


def _put_in_place(draft: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def _flaw(folder: Path, jars: Mapping[str, str]) -> str | None:
    """What is wrong with the jars in `folder`; None: nothing."""
    wanted = {Path(jar).name: checksum for jar, checksum in jars.items()}
    if not folder.is_dir():
        return f"{folder} is missing"
    found = {path.name for path in folder.iterdir()}
    if odd := sorted(found ^ wanted.keys()):
        return f"{odd[0]} is {'unknown' if odd[0] in found else 'missing'}"
    for name, checksum in wanted.items():
        with (folder / name).open("rb") as jar:
            if hashlib.file_digest(jar, "sha256").hexdigest() != checksum:
                return f"{name} has the wrong checksum"
    return None

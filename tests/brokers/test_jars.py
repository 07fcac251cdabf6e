"""How Kafka gets on the machine: from a Maven repository on this machine, with jars of our own."""

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from activity.errors import ChoparError
from brokers import jars
from brokers.fetch import WrongChecksum
from brokers.lock import Lock

CONTENT = {"org/a/1/a-1.jar": b"a" * 3_000_000, "org/b/2/b-2.jar": b"b"}
PINNED = {path: hashlib.sha256(content).hexdigest() for path, content in CONTENT.items()}
LOGIN = "Basic bWU6cEBzcw=="


class Repository(SimpleHTTPRequestHandler):
    """Counts what it is asked for; asks for a login below /private/."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.startswith("/private/") and self.headers.get("Authorization") != LOGIN:
            self.send_error(401)
            return
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def repository(tmp_path: Path, asked: list[str]) -> Iterator[str]:
    for place in ("public", "private"):
        for path, content in CONTENT.items():
            file = tmp_path / place / path
            file.parent.mkdir(parents=True)
            file.write_bytes(content)
    handler = type("Handler", (Repository,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/public/"
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def no_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def maven(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """An `mvn` that does `script`; $OUT is the folder that it is asked to fill."""
    program = folder / "bin" / "mvn"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nfor word; do case "$word" in -DoutputDirectory=*) OUT="${{word#*=}}";; esac; done\n{script}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/bin:/usr/bin")


def left(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.suffix != ".lock")


@pytest.mark.usefixtures("no_maven")
async def test_jars_are_fetched_once(repository: str, asked: list[str], cache: Path) -> None:
    folder = await jars.install(cache, repository, PINNED)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a-1.jar": b"a" * 3_000_000, "b-2.jar": b"b"}
    assert left(cache) == ["kafka-4.3.1"]
    assert await jars.install(cache, None, PINNED) == folder
    assert len(asked) == 2


@pytest.mark.usefixtures("no_maven")
async def test_two_that_install_at_once_fetch_once(repository: str, asked: list[str], cache: Path) -> None:
    first, second = await asyncio.gather(*(jars.install(cache, repository, PINNED) for _ in range(2)))
    assert first == second
    assert len(asked) == 2


@pytest.mark.usefixtures("no_maven")
async def test_the_second_waits_for_the_first(repository: str, asked: list[str], cache: Path) -> None:
    lock = Lock(cache / "kafka-4.3.1.lock")
    await lock.acquire()
    waiting = asyncio.create_task(jars.install(cache, repository, PINNED))
    done, _ = await asyncio.wait([waiting], timeout=1)
    assert not done
    assert not asked
    lock.release()
    await waiting


@pytest.mark.usefixtures("no_maven")
async def test_what_a_killed_one_left_is_cleared_away(repository: str, cache: Path) -> None:
    (cache / "kafka-4.3.1.new-killed").mkdir(parents=True)
    (cache / "kafka-4.3.1.new-killed" / "a-1.jar").write_bytes(b"half")
    await jars.install(cache, repository, PINNED)
    assert left(cache) == ["kafka-4.3.1"]


@pytest.mark.usefixtures("no_maven")
@pytest.mark.parametrize("damage", ["changed", "missing", "another"])
async def test_a_damaged_folder_is_installed_again(repository: str, cache: Path, damage: str) -> None:
    folder = await jars.install(cache, repository, PINNED)
    match damage:
        case "changed":
            (folder / "b-2.jar").write_bytes(b"x")
        case "missing":
            (folder / "b-2.jar").unlink()
        case "another":
            (folder / "evil.jar").write_bytes(b"x")
    await jars.install(cache, repository, PINNED)
    assert {path.name: path.stat().st_size for path in folder.iterdir()} == {"a-1.jar": 3_000_000, "b-2.jar": 1}


@pytest.mark.usefixtures("no_maven")
async def test_a_wrong_checksum_installs_nothing(repository: str, cache: Path) -> None:
    wrong = {**PINNED, "org/b/2/b-2.jar": "0" * 64}
    with pytest.raises(WrongChecksum, match=r"org/b/2/b-2\.jar from http://.* has the checksum [0-9a-f]{64}, not 0{64}"):
        await jars.install(cache, repository, wrong)
    assert left(cache) == []


@pytest.mark.usefixtures("no_maven")
async def test_a_file_that_is_not_there(repository: str, cache: Path) -> None:
    with pytest.raises(ChoparError, match=r"^CHOPAR_MAVEN_URL: could not get org/c\.jar from .*it answers 404"):
        await jars.install(cache, repository, {**PINNED, "org/c.jar": "0" * 64})
    assert left(cache) == []


@pytest.mark.usefixtures("no_maven")
async def test_a_server_that_is_not_there(cache: Path) -> None:
    with pytest.raises(ChoparError, match=r"^CHOPAR_MAVEN_URL: .*http://me:\*\*\*@127\.0\.0\.1:1 .*refused"):
        await jars.install(cache, "http://me:secret@127.0.0.1:1", PINNED)


@pytest.mark.usefixtures("no_maven")
async def test_a_repository_with_a_login(repository: str, cache: Path) -> None:
    private = repository.replace("//", "//me:p%40ss@", 1).replace("public", "private")
    await jars.install(cache, private, PINNED)


@pytest.mark.usefixtures("no_maven")
async def test_with_neither_the_error_says_what_to_do(cache: Path) -> None:
    with pytest.raises(ChoparError, match="apt-get install maven, or set CHOPAR_MAVEN_URL"):
        await jars.install(cache, None, PINNED)


async def test_maven_is_asked_first(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maven(tmp_path, monkeypatch, 'head -c 3000000 /dev/zero | tr "\\0" a > "$OUT/a-1.jar"; printf b > "$OUT/b-2.jar"')
    folder = await jars.install(cache, "http://127.0.0.1:1", PINNED)
    assert len(list(folder.iterdir())) == 2


async def test_what_maven_got_is_checked_too(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maven(tmp_path, monkeypatch, 'printf other > "$OUT/a-1.jar"; printf b > "$OUT/b-2.jar"')
    with pytest.raises(ChoparError, match=r"Kafka is not installed: a-1\.jar has the wrong checksum"):
        await jars.install(cache, None, PINNED)
    assert left(cache) == []


async def test_maven_fails(tmp_path: Path, cache: Path, repository: str, monkeypatch: pytest.MonkeyPatch) -> None:
    maven(tmp_path, monkeypatch, 'echo "no network"; touch "$OUT/half.jar"; exit 1')
    with pytest.raises(ChoparError, match=r"(?s)mvn: exit code 1.*no network"):
        await jars.install(cache, None, PINNED)
    assert left(cache) == []
    await jars.install(cache, repository, PINNED)
    assert left(cache) == ["kafka-4.3.1"]


async def test_a_cache_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ChoparError, match="set XDG_CACHE_HOME"):
        await jars.install(tmp_path / "file" / "cache", None, PINNED)


def test_the_pinned_list() -> None:
    pinned = jars.pinned()
    assert len(pinned) == 92
    assert len({Path(path).name for path in pinned}) == 92
    assert "org/apache/kafka/kafka_2.13/4.3.1/kafka_2.13-4.3.1.jar" in pinned


def test_the_cache_is_the_users(tmp_path: Path) -> None:
    assert jars.cache_folder({"XDG_CACHE_HOME": "/else"}) == Path("/else/chopar")
    assert jars.cache_folder({"XDG_CACHE_HOME": ""}) == Path.home() / ".cache" / "chopar"

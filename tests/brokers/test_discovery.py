"""Where a setting comes from."""

import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activity.errors import SettingError
from activity.settings import Settings, parse_settings
from brokers.discovery import announce, given_settings, lock_path, read_settings, withdraw
from brokers.lock import AlreadyRunning, Lock, is_held

RUNNING = {"CHOPAR_KAFKA_URL": "kafka://up:1", "CHOPAR_RABBIT_URL": "amqp://guest:p=a$s@up:2/"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse_settings({"CHOPAR_DATA_DIR": str(tmp_path / ".chopar")})


@pytest.fixture
async def up(settings: Settings) -> AsyncIterator[Lock]:
    """As while `chopar up` runs."""
    lock = Lock(lock_path(settings))
    await lock.acquire()
    announce(settings, RUNNING)
    yield lock
    lock.release()


async def test_what_is_up_is_found(tmp_path: Path, up: Lock) -> None:
    settings = read_settings({}, tmp_path)
    assert (settings.kafka_url, settings.rabbit_url) == ("kafka://up:1", "amqp://guest:p=a$s@up:2/")


async def test_dotenv_wins_over_what_is_up_and_the_environment_over_both(tmp_path: Path, up: Lock) -> None:
    (tmp_path / ".env").write_text("CHOPAR_KAFKA_URL='kafka://dotenv:1'\nCHOPAR_RABBIT_URL=amqp://dotenv:2/\nOTHER=1\n")
    settings = read_settings({"CHOPAR_RABBIT_URL": "amqp://environment:2/"}, tmp_path)
    assert (settings.kafka_url, settings.rabbit_url) == ("kafka://dotenv:1", "amqp://environment:2/")


async def test_what_is_no_longer_up_is_not_found(tmp_path: Path, up: Lock) -> None:
    up.release()
    assert read_settings({}, tmp_path).kafka_url is None


async def test_what_is_withdrawn_is_not_found(tmp_path: Path, up: Lock, settings: Settings) -> None:
    withdraw(settings)
    assert read_settings({}, tmp_path).kafka_url is None


async def test_whoever_starts_brokers_does_not_see_what_is_up(tmp_path: Path, up: Lock) -> None:
    assert given_settings({}, tmp_path).kafka_url is None


async def test_another_data_folder_has_another_up(tmp_path: Path, up: Lock) -> None:
    (tmp_path / ".env").write_text("CHOPAR_DATA_DIR=elsewhere\n")
    assert read_settings({}, tmp_path).kafka_url is None


async def test_only_the_owner_reads_what_is_announced(up: Lock, settings: Settings) -> None:
    assert stat.S_IMODE((settings.data_dir / "up.env").stat().st_mode) == 0o600


def test_a_variable_is_not_expanded(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CHOPAR_API_TOKEN=a${HOME}b\n")
    assert read_settings({}, tmp_path).api_token == "a${HOME}b"


def test_a_wrong_setting_in_dotenv_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CHOPAR_KAFKA_ULR=kafka://x:1\n")
    with pytest.raises(SettingError, match=r"^CHOPAR_KAFKA_ULR: there is no such setting"):
        read_settings({}, tmp_path)


async def test_a_lock_that_another_holds(up: Lock, settings: Settings) -> None:
    with pytest.raises(AlreadyRunning, match=rf"one runs here already \(pid {os.getpid()}\); stop it first"):
        await Lock(lock_path(settings)).acquire()
    assert is_held(lock_path(settings))


def test_a_lock_that_no_one_ever_held(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "none" / "up.lock")

"""Commands of the documents, run on the session's brokers; each once, whoever asks for it."""

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.learn.pages import run
from tests.rabbit.broker import empty

Runner = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def learn_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of all commands."""
    return tmp_path_factory.mktemp("learn")


@pytest.fixture
def runner(kafka_url: str, rabbit_url: str, learn_folder: Path) -> Runner:
    """Runs a command of a page, with no mail of other tests on the queues."""
    asyncio.run(empty(rabbit_url))
    return lambda command: run(command, kafka_url, rabbit_url, learn_folder)

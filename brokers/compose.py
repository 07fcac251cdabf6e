"""The brokers of `docker-compose.yml`, where a Docker engine answers."""

import os
import shutil
from pathlib import Path
from typing import Final

from brokers.child import Child
from brokers.supervisor import Crashed, run

FILE: Final = Path(__file__).parent.parent / "docker-compose.yml"
# As in the file; the tests take them from here, and a test compares.
KAFKA_IMAGE: Final = "apache/kafka:4.3.1"
RABBIT_IMAGE: Final = "rabbitmq:4.1.4-management"
KAFKA_URL: Final = "kafka://127.0.0.1:9092"
RABBIT_URL: Final = "amqp://guest:guest@127.0.0.1:5672/"
ENGINE_DEADLINE: Final = 3.0
UP_DEADLINE: Final = 900.0
"""Images may have to be pulled."""


class Compose:
    """Starts services of the compose file, and stops those that were not running before."""

    def __init__(self, log_folder: Path) -> None:
        self._log_folder = log_folder
        self._started: list[str] = []

    async def answers(self) -> bool:
        """Whether there is an engine, Docker Compose, and our compose file."""
        return FILE.exists() and await self.engine_answers() and await self._works("compose", "version")

    async def engine_answers(self) -> bool:
        """Whether there is an engine that says so in time."""
        return shutil.which("docker") is not None and await self._works("info")

    async def _works(self, *arguments: str) -> bool:
        try:
            await self._docker(*arguments, deadline=ENGINE_DEADLINE)
        except Crashed:
            return False
        return True

    async def up(self, services: tuple[str, ...]) -> None:
        """They are healthy when this returns. Raises Crashed with what Docker said."""
        log = await self._compose("ps", "--services", "--status", "running", deadline=60)
        running = log.read_text().split()
        self._started = [service for service in services if service not in running]
        await self._compose("up", "-d", "--wait", *services, deadline=UP_DEADLINE)

    async def down(self) -> None:
        """Stops what `up` started. Their data stays."""
        started, self._started = self._started, []
        if started:
            await self._compose("stop", *started, deadline=120)

    async def _compose(self, *arguments: str, deadline: float) -> Path:
        return await self._docker("compose", "-f", str(FILE), *arguments, deadline=deadline)

    async def _docker(self, *arguments: str, deadline: float) -> Path:
        log = self._log_folder / "docker.log"
        await run(Child("docker", ["docker", *arguments], os.environ, log, deadline=deadline))
        return log

"""A private Kafka: one node that is broker and controller, on ports and in a folder of its own."""

import base64
import os
import re
import uuid
from pathlib import Path
from typing import Final

from activity.settings import Settings
from brokers import jars, ports, probe
from brokers.child import Child
from brokers.java import find_java
from brokers.supervisor import run

MAIN: Final = "kafka.Kafka"
FORMAT: Final = "kafka.tools.StorageTool"
QUIET: Final = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
SMALL: Final = 512
"""Under this heap (MB) it is run for a quick start and little memory, from it on for load."""

_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{clients},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{clients}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms={gather_ms}
# One node keeps one copy.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Fits a small heap.
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=8
log.cleaner.dedupe.buffer.size=8388608
"""


class Kafka:
    """What to start for a Kafka in `folder`. The data and, while they are free, the ports stay from start to start.

    `gather_ms`: how long a new consumer group waits for more members before it shares out its partitions.
    """

    name: Final = "kafka"

    def __init__(self, folder: Path, *, heap_mb: int = 256, maven_url: str | None = None, gather_ms: int = 0) -> None:
        self._folder = folder.absolute()
        self._heap_mb, self._gather_ms = heap_mb, gather_ms
        self._maven_url = maven_url
        self._ports = dict[str, int]()

    @property
    def url(self) -> str:
        """Where it listens; known once `children` was called."""
        return f"kafka://{ports.HOST}:{self._ports['clients']}"

    async def children(self) -> list[Child]:
        """Installs Kafka and makes its storage if they are not there, then tells what to start, in this order."""
        libraries = await jars.install(jars.cache_folder(), self._maven_url, jars.pinned())
        self._folder.mkdir(parents=True, exist_ok=True)
        self._ports = ports.keep(self._folder / "ports.json", ("clients", "controller"))
        properties = self._folder / "server.properties"
        properties.write_text(
            _PROPERTIES.format(host=ports.HOST, data=self._folder / "data", gather_ms=self._gather_ms, **self._ports)
        )
        java = find_java()
        if not (self._folder / "data" / "meta.properties").exists():  # written last
            await self._format(java, libraries, properties)
        options = [f"-Xmx{self._heap_mb}m", "-XX:+ExitOnOutOfMemoryError", QUIET]
        if self._heap_mb < SMALL:
            options += ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        clients = self._ports["clients"]
        return [
            Child(
                name=self.name,
                argv=[java, *options, "-cp", f"{libraries}/*", MAIN, str(properties)],
                env=_environment(),
                log_path=self._folder / "kafka.log",
                ready=lambda: probe.kafka(clients),
                folder=self._folder,
            )
        ]

    async def _format(self, java: str, libraries: Path, properties: Path) -> None:
        arguments = ["format", "-t", _cluster_id(), "-c", str(properties), "--ignore-formatted"]
        argv = [
            java,
            "-Xmx128m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            QUIET,
            "-cp",
            f"{libraries}/*",
            FORMAT,
            *arguments,
        ]
        await run(Child("kafka format", argv, _environment(), self._folder / "format.log", folder=self._folder))


def local_kafka(settings: Settings, *, heap_mb: int = 256) -> Kafka:
    """The Kafka of a data folder."""
    return Kafka(settings.data_dir / "kafka", heap_mb=heap_mb, maven_url=settings.maven_url)


def _cluster_id() -> str:
    """128 random bits as Kafka writes them; not with a dash first, which its tool takes for an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        continue
    return text


def _environment() -> dict[str, str]:
    """Ours without what would change the JVM or Kafka: a private broker is the same for everyone."""
    return {name: text for name, text in os.environ.items() if not re.match(r"KAFKA_|JAVA_|_JAVA_|JDK_|CHOPAR_|CLASSPATH$", name)}

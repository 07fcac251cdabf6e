"""A private RabbitMQ node from the distribution's package: on ports, in a folder and under an epmd of its own."""

import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Final

from activity.errors import ChoparError
from activity.settings import Settings
from brokers import ports, probe
from brokers.child import Child

SERVER: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
CONTROL: Final = SERVER.with_name("rabbitmqctl")
NODE: Final = "chopar@localhost"
"""May be the same for all: a name is known to one epmd only, and each node has its own."""

_CONFIG: Final = """\
listeners.tcp.1 = {host}:{amqp}
management.tcp.ip = {host}
management.tcp.port = {management}
log.console = true
log.console.level = info
log.file = false
# What the machine has left is for others too; below this RabbitMQ takes no more messages.
disk_free_limit.absolute = 50MB
"""


class RabbitMQ:
    """What to start for a RabbitMQ in `folder`. The data and, while they are free, the ports stay from start to start.

    `root` is the root of another system whose server is run by chroot; `folder` is then below it.
    """

    name: Final = "rabbitmq"

    def __init__(self, folder: Path, *, root: Path | None = None) -> None:
        self._folder = folder.absolute()
        self._root = root
        self.ports = dict[str, int]()
        """What it listens on: amqp, management, dist, epmd; known once `children` was called."""

    @property
    def url(self) -> str:
        """Where it speaks AMQP; known once `children` was called."""
        return f"amqp://guest:guest@{ports.HOST}:{self.ports['amqp']}/"

    @property
    def management_url(self) -> str:
        """Where its management pages and API are (user guest, password guest)."""
        return f"http://{ports.HOST}:{self.ports['management']}"

    def control(self, *arguments: str) -> tuple[list[str], dict[str, str]]:
        """How `rabbitmqctl` is called for this node while it runs: the command and its environment."""
        return self._command(str(CONTROL), *arguments), self._environment()

    async def children(self) -> list[Child]:
        """Tells what to start, in this order. Raises ChoparError if there is no server on this machine."""
        if not self._outside(SERVER).exists():
            raise ChoparError("RabbitMQ is not installed: apt-get install rabbitmq-server, or set CHOPAR_RABBIT_URL")
        self.ports = ports.keep(self._folder / "ports.json", ("amqp", "management", "dist", "epmd"))
        self._configure()
        epmd, amqp, management = (self.ports[name] for name in ("epmd", "amqp", "management"))

        async def ready() -> bool:
            return await probe.amqp(amqp) and await probe.http(management)

        return [
            Child(
                name="epmd",
                argv=self._command("epmd", "-port", str(epmd), "-address", ports.HOST),
                env=self._environment(),
                log_path=self._folder / "epmd.log",
                ready=lambda: probe.tcp(epmd),
                grace=5,
                folder=self._folder,
            ),
            Child(
                name=self.name,
                argv=self._command(str(SERVER)),
                env=self._environment(),
                log_path=self._folder / "rabbitmq.log",
                ready=ready,
                folder=self._folder,
            ),
        ]

    def _configure(self) -> None:
        (self._folder / "config").mkdir(parents=True, exist_ok=True)
        (self._folder / "conf.d").mkdir(exist_ok=True)
        (self._folder / "config" / "rabbitmq.conf").write_text(_CONFIG.format(host=ports.HOST, **self.ports))
        (self._folder / "config" / "env.conf").write_text("")
        (self._folder / "config" / "enabled_plugins").write_text("[rabbitmq_management].\n")
        cookie = self._folder / ".erlang.cookie"
        if not cookie.exists() or cookie.stat().st_size == 0:
            cookie.unlink(missing_ok=True)
            with os.fdopen(os.open(cookie, os.O_WRONLY | os.O_CREAT, 0o400), "w") as file:
                file.write(secrets.token_hex(16))

    def _environment(self) -> dict[str, str]:
        """Ours without what would change a node, and with everything that would otherwise be the system service's."""
        kept = {name: text for name, text in os.environ.items() if not re.match(r"RABBITMQ_|ERL_|CHOPAR_|NOTIFY_SOCKET$", name)}
        home = self._inside(self._folder)
        config = home / "config"
        return {
            **kept,
            "LC_ALL": "C.UTF-8",
            "HOME": str(home),
            "ERL_EPMD_PORT": str(self.ports["epmd"]),
            "ERL_CRASH_DUMP_SECONDS": "0",
            "RABBITMQ_NODENAME": NODE,
            "RABBITMQ_DIST_PORT": str(self.ports["dist"]),
            "RABBITMQ_CONF_ENV_FILE": str(config / "env.conf"),
            "RABBITMQ_CONFIG_FILE": str(config / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(home / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(config / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(config / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(home / "generated"),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_SCHEMA_DIR": str(home / "schema"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
            # With it the script becomes the node: the pid we hold is the node's. It then leaves out -noinput itself.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput -kernel inet_dist_use_interface {127,0,0,1}",
        }

    def _command(self, *argv: str) -> list[str]:
        if self._root is None:
            epmd = shutil.which("epmd", path=f"{os.environ.get('PATH', '')}:/usr/bin") or "epmd"
            return [epmd if argv[0] == "epmd" else argv[0], *argv[1:]]
        return ["chroot", str(self._root), *argv]

    def _inside(self, path: Path) -> Path:
        """A path as the server sees it."""
        return path if self._root is None else Path("/") / path.relative_to(self._root)

    def _outside(self, path: Path) -> Path:
        return path if self._root is None else self._root / path.relative_to("/")


def local_rabbitmq(settings: Settings) -> RabbitMQ:
    """The RabbitMQ of a data folder."""
    return RabbitMQ(settings.data_dir / "rabbitmq")

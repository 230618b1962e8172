"""A private RabbitMQ node from installed server programs, with an epmd of its own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import ClassVar

import amqp

from ansf_platform.services.errors import BinaryMissing, CommandFailed
from ansf_platform.services.ports import LOOPBACK, free_port
from ansf_platform.services.probes import port_answers
from ansf_platform.services.process import Launch, Process, run_to_end, spawn_logged, wait_ready
from ansf_platform.services.server import (
    PrivateServer,
    keep_secret,
    plain_environment,
    write_private,
)

# The wrapper in /usr/sbin insists on root or the rabbitmq user; these do not.
_PROGRAM_DIRECTORIES = ("/usr/lib/rabbitmq/bin", "/usr/local/sbin", "/opt/homebrew/sbin")
_NODE = "ansf@localhost"  # nodes are told apart by their private epmd, not by name
_USER = "ansf"
_COOKIE_MODE = 0o400  # Erlang refuses a cookie that others can read
_EPMD_DEADLINE_S = 10.0
_CTL_DEADLINE_S = 60.0
_PROBE_TIMEOUT_S = 2.0

# The alarms stop publishers for good on a small or crowded machine, so both are set low and plain.
_CONFIGURATION = """\
listeners.tcp.1 = {host}:{port}
default_user = {user}
default_pass = {password}
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 100MB
log.dir = {log_directory}
log.file = node.log
log.file.level = info
log.file.rotation.size = 10485760
log.file.rotation.count = 2
log.console = false
"""
_MANAGEMENT = """\
management.tcp.ip = {host}
management.tcp.port = {port}
"""


class RabbitMQ(PrivateServer):
    """One RabbitMQ node; durable queues and confirmed messages survive `stop` and `kill`.

    One exception: Erlang's disk_log writes what was declared up to two seconds late, so a queue
    younger than that can be gone after a `kill`, with its messages. `ctl("eval",
    "mnesia:sync_log().")` writes at once.

    Boots in 3 to 7 seconds. `kill` takes the node; its epmd ends with `stop`. Without
    `management` there is no HTTP interface, and `stop` takes 1 second instead of 6.
    """

    name: ClassVar[str] = "rabbitmq"
    start_deadline_s: ClassVar[float] = 90.0  # several nodes booting on two busy cores
    stop_deadline_s: ClassVar[float] = 30.0

    def __init__(
        self,
        directory: Path | None = None,
        port: int | None = None,
        *,
        management: bool = True,
        management_port: int | None = None,
    ) -> None:
        super().__init__(directory, port)
        self.management = management
        self.directory = self.directory.resolve()
        self.management_port = management_port or free_port()
        self._distribution_port = free_port()
        self._epmd_port = free_port()
        self._epmd: Process | None = None

    @property
    def url(self) -> str:
        return f"amqp://{_USER}:{self.password}@{LOOPBACK}:{self.port}//"

    @property
    def ports(self) -> tuple[int, ...]:
        return (self.port, self.management_port) if self.management else (self.port,)

    @property
    def management_url(self) -> str:
        """The management plugin's HTTP address, credentials included."""
        return f"http://{_USER}:{self.password}@{LOOPBACK}:{self.management_port}"

    @property
    def user(self) -> str:
        """The administrator's name."""
        return _USER

    @property
    def password(self) -> str:
        """Drawn once and kept in the directory: the node remembers it in its own database."""
        self.directory.mkdir(parents=True, exist_ok=True)
        return keep_secret(self.directory / "password")

    @property
    def epmd_pid(self) -> int | None:
        """The private port mapper's process id, None when it is not running."""
        return self._epmd.pid if self._epmd is not None and self._epmd.alive else None

    def prepare(self) -> None:
        find_rabbitmq("rabbitmq-server")
        cookie = self.directory / ".erlang.cookie"
        keep_secret(cookie)
        cookie.chmod(_COOKIE_MODE)
        self._write_configuration()
        self._start_epmd()

    def launch(self) -> Launch:
        argv = (str(find_rabbitmq("rabbitmq-server")),)
        return Launch(argv, self._environment(), cwd=self.directory)

    def answers(self) -> bool:
        try:
            with self._connection():
                return True
        except (OSError, amqp.exceptions.AMQPError):
            return False

    def version(self) -> str:
        """The server's own word, for example `3.10.8`."""
        with self._connection() as connection:
            facts: dict[str, object] = vars(connection)[
                "server_properties"
            ]  # absent from the stubs
        return str(facts["version"])

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl against this node; its output. Raises NotRunning, CommandFailed."""
        self._living()  # with no node, rabbitmqctl would start an epmd that stays
        argv = (str(find_rabbitmq("rabbitmqctl")), "--quiet", "--node", _NODE, *arguments)
        code, output = run_to_end(Launch(argv, self._ctl_environment()), _CTL_DEADLINE_S)
        if code != 0:
            raise CommandFailed(f"rabbitmqctl {' '.join(arguments)} ended with {code}: {output}")
        return output

    def stop(self) -> None:
        super().stop()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd = None

    def _connection(self) -> amqp.Connection:
        return amqp.Connection(
            f"{LOOPBACK}:{self.port}",
            userid=_USER,
            password=self.password,
            connect_timeout=_PROBE_TIMEOUT_S,
            read_timeout=_PROBE_TIMEOUT_S,
            write_timeout=_PROBE_TIMEOUT_S,
        )

    def _write_configuration(self) -> None:
        text = _CONFIGURATION.format(
            host=LOOPBACK,
            port=self.port,
            user=_USER,
            password=self.password,
            log_directory=self.directory / "log",
        )
        if self.management:
            text += _MANAGEMENT.format(host=LOOPBACK, port=self.management_port)
        plugins = "[rabbitmq_management].\n" if self.management else "[].\n"
        write_private(self.directory / "rabbitmq.conf", text)
        (self.directory / "log").mkdir(exist_ok=True)  # the node checks before it would create it
        (self.directory / "enabled_plugins").write_text(plugins)

    def _start_epmd(self) -> None:
        if self.epmd_pid is not None:
            return
        argv = (_find_epmd(), "-address", LOOPBACK, "-port", str(self._epmd_port))
        log = self.directory / "epmd.log"
        self._epmd = spawn_logged(
            Launch(argv, plain_environment() | {"HOME": str(self.directory)}), log
        )
        wait_ready(
            self._epmd, lambda: port_answers(LOOPBACK, self._epmd_port), _EPMD_DEADLINE_S, log
        )

    def _environment(self) -> dict[str, str]:
        home = self.directory
        return plain_environment() | {
            "HOME": str(home),  # where Erlang looks for the cookie
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_CRASH_DUMP_SECONDS": "0",
            "RABBITMQ_NODENAME": _NODE,
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONF_ENV_FILE": str(home / "absent.conf"),  # not the machine's own node's
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / "absent.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(home / "generated"),
            "RABBITMQ_PLUGINS_EXPAND_DIR": str(home / "plugins"),
            "RABBITMQ_PID_FILE": str(home / "node.pid"),
            # Exec instead of a waiting shell, so that our child is the node itself.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-noinput -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
            ),
            # Bound schedulers fight over cores that other programs use too.
            "RABBITMQ_SCHEDULER_BIND_TYPE": "u",
        }

    def _ctl_environment(self) -> dict[str, str]:
        port = str(free_port())  # the default range is shared by every rabbitmqctl on the machine
        return self._environment() | {
            "RABBITMQ_CTL_DIST_PORT_MIN": port,
            "RABBITMQ_CTL_DIST_PORT_MAX": port,
        }


def find_rabbitmq(program: str) -> Path:
    """One of RabbitMQ's server programs that runs as any user. Raises BinaryMissing."""
    for directory in _PROGRAM_DIRECTORIES:
        candidate = Path(directory, program)
        if os.access(candidate, os.X_OK):
            return candidate
    raise BinaryMissing("RabbitMQ", "rabbitmq-server", ", ".join(_PROGRAM_DIRECTORIES))


def _find_epmd() -> str:
    if found := shutil.which("epmd"):
        return found
    raise BinaryMissing("Erlang's port mapper epmd", "erlang-base", "PATH")

"""A private PostgreSQL cluster from installed server programs."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import psycopg
from psycopg import sql

from ansf_platform.services.errors import BinaryMissing, ServiceError, StartFailed
from ansf_platform.services.homes import home_for, remove_home
from ansf_platform.services.ports import LOOPBACK
from ansf_platform.services.process import Launch, run_to_end
from ansf_platform.services.server import (
    PrivateServer,
    keep_secret,
    plain_environment,
    write_private,
)

_DEBIAN = Path("/usr/lib/postgresql")
_ACCOUNTS = ("postgres", "nobody")  # who runs the server when we are root: it refuses root
_USER = "ansf"
_DATABASE = "ansf"
_INITDB_DEADLINE_S = 120.0
_PROBE_TIMEOUT_S = 2  # whole seconds: libpq rounds below 2 up
_SOCKET_PATH_LIMIT = 90  # sun_path holds 107 bytes with the socket's own name

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": LOOPBACK,
    "max_connections": "200",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_level": "minimal",  # nobody replicates from here
    "max_wal_senders": "0",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",  # short statements: compiling costs more than it saves
    # A table of tasks turns over within seconds: looked at every ten it grew to five times its
    # rows, looked at every second it stays as large as they are.
    "autovacuum_naptime": "1s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_lock_waits": "on",
    "log_line_prefix": "%m [%p] %a ",
}

# Without fsync a power cut loses the cluster; a killed server loses nothing, because commits still
# reach the kernel. Asynchronous commit would lose the last of them, and fault tests kill servers.
_NOT_DURABLE: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off"}


class Postgres(PrivateServer):
    """A cluster with one superuser and one database, both `ansf`; SCRAM over 127.0.0.1.

    `durable=False` is for tests: safe against a killed server, not against a power cut.
    `settings` are added to, and win over, the tuned ones. `programs` is a directory of server
    programs to use; the newest installed ones otherwise.
    """

    name: ClassVar[str] = "postgres"
    start_deadline_s: ClassVar[float] = 60.0  # recovery after a crash counts
    stop_deadline_s: ClassVar[float] = 20.0
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast"; SIGTERM waits for all clients

    def __init__(
        self,
        directory: Path | None = None,
        port: int | None = None,
        *,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
        programs: Path | None = None,
    ) -> None:
        super().__init__(directory, port)
        self.directory = self.directory.resolve()
        self.durable = durable
        self.settings = dict(settings or {})
        self.programs = programs
        self._database_ready = False

    @property
    def url(self) -> str:
        return self.database_url(_DATABASE)

    def database_url(self, database: str) -> str:
        """The URL of a database of this cluster."""
        return f"postgresql://{_USER}:{self.password}@{LOOPBACK}:{self.port}/{quote(database)}"

    @property
    def password(self) -> str:
        """Drawn once and kept in the directory; the cluster knows it from then on."""
        self.directory.mkdir(parents=True, exist_ok=True)
        return keep_secret(self.directory / "password")

    @property
    def home(self) -> Path:
        """Where cluster and socket lie: below `directory`, or where the server's user can reach."""
        return home_for(self.directory, server_account())

    @property
    def socket_directory(self) -> Path | None:
        """Where the private unix socket is; None if the path is too long for one."""
        path = self.home / "socket"
        return path if len(str(path)) <= _SOCKET_PATH_LIMIT else None

    def prepare(self) -> None:
        self._program("postgres")
        self._own(self.home / "socket")
        cluster = self.home / "cluster"
        if not (cluster / "PG_VERSION").exists():
            self._create_cluster(cluster)

    def launch(self) -> Launch:
        argv = [str(self._program("postgres")), "-D", str(self.home / "cluster")]
        for key, value in self._all_settings().items():
            argv += ["-c", f"{key}={value}"]
        return Launch(argv, plain_environment(), cwd=self.home, user=server_account())

    def answers(self) -> bool:
        try:
            self._ensure_database()
            with psycopg.connect(self.url, connect_timeout=_PROBE_TIMEOUT_S) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def version(self) -> str:
        """The server's own word, for example `15.18`."""
        with psycopg.connect(self.url, connect_timeout=_PROBE_TIMEOUT_S) as connection:
            row = connection.execute("SHOW server_version").fetchone()
        return "" if row is None else str(row[0]).split()[0]

    def create_database(self, name: str) -> str:
        """Create an empty database; its URL. Raises psycopg.errors.DuplicateDatabase."""
        with self._administer() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.database_url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, with the connections that still use it."""
        with self._administer() as connection:
            statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(statement.format(sql.Identifier(name)))

    def stop(self, *, immediate: bool = False) -> None:
        """End it with all data flushed; `immediate` leaves that to the next start."""
        if immediate and self._process is not None:
            self._process.stop(signal.SIGQUIT, self.stop_deadline_s)
        super().stop()

    def discard(self) -> None:
        home = self.home
        super().discard()
        remove_home(home)

    def _administer(self) -> psycopg.Connection:
        return psycopg.connect(
            self.database_url("postgres"), autocommit=True, connect_timeout=_PROBE_TIMEOUT_S
        )

    def _ensure_database(self) -> None:
        if self._database_ready:
            return
        with self._administer() as connection:
            found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [_DATABASE])
            if found.rowcount == 0:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_DATABASE)))
        self._database_ready = True

    def _all_settings(self) -> dict[str, str]:
        socket = self.socket_directory
        placed = {
            "port": str(self.port),
            "unix_socket_directories": str(socket) if socket else "",
            "unix_socket_permissions": "0700",
        }
        return {**_SETTINGS, **placed, **({} if self.durable else _NOT_DURABLE), **self.settings}

    def _create_cluster(self, cluster: Path) -> None:
        shutil.rmtree(cluster, ignore_errors=True)  # an initdb that was interrupted
        self._own(cluster)
        secret = self.home / "initdb-password"
        write_private(secret, self.password)
        self._give(secret)
        try:
            code, output = run_to_end(self._initdb(cluster, secret), _INITDB_DEADLINE_S)
        finally:
            secret.unlink(missing_ok=True)
        if code != 0:
            raise StartFailed(f"initdb ended with {code}:\n{output}")

    def _initdb(self, cluster: Path, secret: Path) -> Launch:
        argv = [
            str(self._program("initdb")),
            f"--pgdata={cluster}",
            f"--username={_USER}",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]
        if not self.durable:
            argv.append("--no-sync")
        return Launch(argv, plain_environment(), cwd=self.home, user=server_account())

    def _program(self, name: str) -> Path:
        return find_postgres(name) if self.programs is None else self.programs / name

    def _own(self, path: Path) -> None:
        path.mkdir(mode=0o700, exist_ok=True)
        self._give(path)

    def _give(self, path: Path) -> None:
        if account := server_account():
            shutil.chown(path, account)


def server_account() -> str | None:
    """The system user that must run the server; None if we may run it ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in _ACCOUNTS:
        if name in known:
            return name
    raise ServiceError(
        "PostgreSQL refuses to run as root and there is neither a user postgres nor nobody. "
        "Run as an ordinary user, or: useradd --system postgres",
    )


def find_postgres(program: str) -> Path:
    """One of the server programs of the newest installed version. Raises BinaryMissing."""
    installed = [path.parent for path in _DEBIAN.glob("*/bin/postgres")]
    if installed:
        return max(installed, key=_major_version) / program
    server = shutil.which("postgres")
    if server is not None:
        return Path(server).resolve().parent / program
    raise BinaryMissing("PostgreSQL", "postgresql", f"{_DEBIAN}/*/bin and PATH")


def _major_version(programs: Path) -> float:
    try:
        return float(programs.parent.name)  # "9.6", "15"
    except ValueError:
        return 0.0

"""A whole system on private ports: database, broker, coordinator, workers, each its own process.

Benchmarks and fault tests start one, drive it, and kill parts of it. ``embedded`` is the default
of `manage.py up`: SQLite and Valkey; ``full`` is PostgreSQL and RabbitMQ.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, Self

from django.db import connection

from ansf_platform.first_run.processes import ONE_THREAD
from ansf_platform.services.ports import LOOPBACK, free_port
from ansf_platform.services.postgres import Postgres
from ansf_platform.services.probes import http_answers
from ansf_platform.services.process import (
    Launch,
    Process,
    run_to_end,
    spawn_logged,
    wait_ready,
)
from ansf_platform.services.rabbitmq import RabbitMQ
from ansf_platform.services.valkey import Valkey

Kind = Literal["embedded", "full"]
ROOT = Path(__file__).resolve().parent.parent
MIGRATE_SECONDS = 120.0
WEB_SECONDS = 30.0


class Stack:
    """Services and processes of one system; a context manager that ends them all."""

    def __init__(self, kind: Kind, directory: Path, extra: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self.directory = directory
        self.extra = dict(extra or {})
        self.postgres: Postgres | None = None
        self.broker: RabbitMQ | Valkey | None = None
        self.valkey: Valkey | None = None
        self.processes: dict[str, Process] = {}
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start_services()
        except BaseException:
            self._exits.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_processes()
        self._exits.close()

    def _start_services(self) -> None:
        if self.kind == "full":
            self.postgres = self._exits.enter_context(Postgres(durable=False))
            # Without its HTTP interface the node boots and ends sooner.
            self.broker = self._exits.enter_context(RabbitMQ(management=False))
            self.valkey = self._exits.enter_context(Valkey())
        else:
            self.valkey = self.broker = self._exits.enter_context(Valkey())
        if not self._sqlite.exists():  # whoever copied a migrated one there saves seconds
            self.manage("migrate", "--verbosity=0")

    @property
    def _sqlite(self) -> Path:
        return self.directory / "ansf.sqlite3"

    @property
    def database_url(self) -> str:
        """Where the rows are."""
        if self.postgres is not None:
            return self.postgres.url
        return f"sqlite:///{self._sqlite}"

    @property
    def environment(self) -> dict[str, str]:
        """What the processes of this system see."""
        assert self.broker is not None  # noqa: S101 - started in __enter__
        assert self.valkey is not None  # noqa: S101 - the same
        return {
            **os.environ,
            "DATABASE_URL": self.database_url,
            "BROKER_URL": self.broker.url,
            "REDIS_URL": self.valkey.url,
            "SECRET_KEY": "only-for-measuring",
            "DEBUG": "0",
            "ANSF_STATE_DIR": str(self.directory),
            "DJANGO_SETTINGS_MODULE": "ansf_platform.settings",
            "PYTHONWARNINGS": "default",
            # Compiled once for all systems: in a directory of its own each would compile anew.
            "NUMBA_CACHE_DIR": str(ROOT / ".ansf" / "kernels"),
            # As `up` sets them: a worker that misses them begins anew to have numpy see them.
            **dict.fromkeys(ONE_THREAD, "1"),
            **self.extra,
        }

    def manage(self, *arguments: str) -> str:
        """Run a command of the system to its end; its output. Raises RuntimeError."""
        code, output = run_to_end(self._launch(arguments), MIGRATE_SECONDS)
        if code:
            raise RuntimeError(f"manage.py {' '.join(arguments)} ended with {code}:\n{output}")
        return output

    def start(self, name: str, *arguments: str) -> Process:
        """Start a long-running command under a name; its output goes to a log file."""
        return self._keep(name, self._launch(arguments, name))

    def _keep(self, name: str, launch: Launch) -> Process:
        process = spawn_logged(launch, self.log(name))
        self.processes[name] = process
        return process

    def start_celery(self, application: str, concurrency: int, extra: Mapping[str, str]) -> Process:
        """Start a plain Celery worker of another application on the same servers."""
        command = (sys.executable, "-m", "celery", "-A", application, "worker")
        options = (f"--concurrency={concurrency}", "--loglevel=WARNING", "--without-gossip")
        launch = Launch((*command, *options), env={**self.environment, **extra}, cwd=ROOT)
        return spawn_logged(launch, self.log("celery"))

    def start_module(self, name: str, module: str, *arguments: str) -> Process:
        """Start ``python -m module`` in the system's environment under a name."""
        command = (sys.executable, "-m", module, *arguments)
        launch = Launch(command, env=self.environment, cwd=ROOT)
        self.processes[name] = spawn_logged(launch, self.log(name))
        return self.processes[name]

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of a statement, read through the ORM's connection."""
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def coordinator(self, name: str = "coordinator") -> Process:
        """Start a coordinator."""
        return self.start(name, "coordinate")

    def worker(self, pool: str, concurrency: int, name: str = "") -> Process:
        """Start a worker."""
        arguments = ("worker", "--pool", pool, "--concurrency", str(concurrency))
        return self.start(name or f"worker-{pool}", *arguments)

    def web(self, name: str = "web") -> str:
        """Start the web server and wait for it; the address it answers at."""
        port = free_port()
        command = (
            *(sys.executable, "-m", "uvicorn", "ansf_platform.asgi:application"),
            *("--host", LOOPBACK, "--port", str(port), "--log-level", "warning"),
        )
        process = self._keep(name, self._named(command, name))
        address = f"http://{LOOPBACK}:{port}"
        wait_ready(process, lambda: http_answers(f"{address}/livez"), WEB_SECONDS, self.log(name))
        return address

    def log(self, name: str) -> Path:
        """Where a process's output goes."""
        return self.directory / f"{name}.log"

    def stop_processes(self) -> None:
        """End what was started, workers first."""
        for process in reversed(self.processes.values()):
            if process.alive:
                process.begin_stop()
        for process in reversed(self.processes.values()):
            process.stop(deadline_s=5.0)
        self.processes.clear()

    def _launch(self, arguments: Sequence[str], name: str = "command") -> Launch:
        return self._named((sys.executable, str(ROOT / "manage.py"), *arguments), name)

    def _named(self, command: Sequence[str], name: str) -> Launch:
        # PostgreSQL then tells in pg_stat_activity whose session it is.
        return Launch(command, env={**self.environment, "PGAPPNAME": name}, cwd=ROOT)

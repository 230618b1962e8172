"""The processes of a system as children of one supervisor."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from ansf_platform.first_run.servers import Servers
from ansf_platform.first_run.wishes import Wishes
from ansf_platform.services.ports import LOOPBACK
from ansf_platform.services.probes import http_answers
from ansf_platform.services.server import keep_secret
from ansf_platform.supervisor import Child, Stage

_GRACE_S = 3  # open event streams end then: they would hold a stop up for ever
_WEB_DEADLINE_S = 60.0
_WORKER_STOP_S = 20.0
_COORDINATOR_STOP_S = 10.0
FLOWER_USER = "admin"
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class System:
    """What runs for these wishes on these servers."""

    wishes: Wishes
    servers: Servers
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The first page."""
        return f"http://{LOOPBACK}:{self.wishes.web_port}/"

    @property
    def flower_url(self) -> str | None:
        """Flower, or None without it."""
        port = self.wishes.flower_port
        return None if port is None else f"http://{LOOPBACK}:{port}/"

    @property
    def flower_password(self) -> str:
        """Drawn once, kept in the state directory."""
        return keep_secret(self.wishes.state_dir / "flower-password")

    @property
    def environment(self) -> dict[str, str]:
        """What every process of the system sees beside our own environment."""
        return {
            "DJANGO_SETTINGS_MODULE": "ansf_platform.settings",
            "ANSF_STATE_DIR": str(self.wishes.state_dir),
            # A private PostgreSQL must not turn a development system into one that needs secrets.
            "DEBUG": str(int(settings.DEBUG)),
            **self._numerics(),
            **({"ANSF_FLOWER_URL": self.flower_url} if self.flower_url else {}),
            **self.servers.environment,
            **self.extra,
        }

    def _numerics(self) -> dict[str, str]:
        """Read when numpy and numba are imported, so they must be there before the process is."""
        wanted = {
            "NUMBA_CACHE_DIR": str(self.wishes.state_dir / "kernels"),
            **dict.fromkeys(ONE_THREAD, "1"),  # a process per slot; threads would share the cores
        }
        return {name: value for name, value in wanted.items() if name not in os.environ}

    def stages(self) -> list[Stage]:
        """In the order of starting; see the package's description."""
        stages: list[Stage] = [
            (*self.servers.started_with_web, self._web()),
            (self._worker("cpu", self.wishes.cpu), self._worker("io", self.wishes.io)),
        ]
        last = [self._manage("coordinator", "coordinate", stop_s=_COORDINATOR_STOP_S)]
        if self.wishes.watch:
            last.append(self._manage("watch", "watch", stop_s=_COORDINATOR_STOP_S))
        if self.wishes.flower_port is not None:
            last.append(self._flower(self.wishes.flower_port))
        return [*stages, last]

    def manage_argv(self, *arguments: str) -> tuple[str, ...]:
        """The command line of one of our own commands."""
        return (sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments)

    def _manage(self, name: str, *arguments: str, stop_s: float) -> Child:
        return Child(
            name,
            self.manage_argv(*arguments),
            self.environment,
            stop_timeout_s=stop_s,
            cwd=_root(),
        )

    def _worker(self, pool: str, slots: int) -> Child:
        arguments = ("worker", "--pool", pool, "--concurrency", str(slots))
        return self._manage(f"{pool}-worker", *arguments, stop_s=_WORKER_STOP_S)

    def _web(self) -> Child:
        argv = (
            *(sys.executable, "-m", "uvicorn", "ansf_platform.asgi:application"),
            *("--host", LOOPBACK, "--port", str(self.wishes.web_port)),
            *("--timeout-graceful-shutdown", str(_GRACE_S)),
            *("--no-access-log", "--log-level", "warning", "--lifespan", "off"),
        )
        return Child(
            "web",
            argv,
            self.environment,
            ready=lambda: http_answers(f"{self.url}livez"),
            ready_timeout_s=_WEB_DEADLINE_S,
            cwd=_root(),
        )

    def _flower(self, port: int) -> Child:
        argv = (sys.executable, "-m", "celery", "--quiet", "--app", "ansf_platform.celery")
        env = {
            **self.environment,
            "FLOWER_ADDRESS": LOOPBACK,
            "FLOWER_PORT": str(port),
            "FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{self.flower_password}",
        }
        if self.servers.rabbitmq is not None:
            env["FLOWER_BROKER_API"] = f"{self.servers.rabbitmq.management_url}/api/"
        return Child("flower", (*argv, "flower"), env, cwd=_root())


def _root() -> Path:
    """The directory of manage.py: relative names in the environment were read from ours."""
    return Path(os.fspath(settings.BASE_DIR))

"""The private servers of a system: those that the environment does not already name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from ansf_platform.first_run.wishes import Wishes
from ansf_platform.services.postgres import Postgres, find_postgres
from ansf_platform.services.rabbitmq import RabbitMQ, find_rabbitmq
from ansf_platform.services.server import PrivateServer
from ansf_platform.services.valkey import Valkey, find_valkey

_BROKER_NUMBER = 0  # Valkey's numbered databases
_CACHE_NUMBER = 1


@dataclass(frozen=True, slots=True)
class Servers:
    """What is started for the system; None where something else serves."""

    valkey: Valkey | None = None
    rabbitmq: RabbitMQ | None = None
    postgres: Postgres | None = None

    @property
    def started_with_web(self) -> tuple[PrivateServer, ...]:
        """Those that rows do not need: they may boot while the first page already answers."""
        return tuple(server for server in (self.valkey, self.rabbitmq) if server is not None)

    @property
    def environment(self) -> dict[str, str]:
        """The URLs of what is started, for the processes of the system."""
        urls: dict[str, str] = {}
        if self.valkey is not None:
            if not settings.REDIS_URL:
                urls["REDIS_URL"] = self.valkey.database_url(_CACHE_NUMBER)
            if self.rabbitmq is None and not settings.BROKER_URL:
                urls["BROKER_URL"] = self.valkey.database_url(_BROKER_NUMBER)
        if self.rabbitmq is not None:
            urls["BROKER_URL"] = self.rabbitmq.url
        if self.postgres is not None:
            urls["DATABASE_URL"] = self.postgres.url
        return urls


def embedded_cache_url(state_dir: Path) -> str:
    """Where `up` from this directory keeps what may be lost; "" when it never started one."""
    directory = state_dir / "valkey"
    configuration = directory / "valkey.conf"
    if not configuration.exists():
        return ""
    found = re.search(r"^port (\d+)$", configuration.read_text(), re.MULTILINE)
    port = int(found[1]) if found else None
    return Valkey(directory, port, password=True).database_url(_CACHE_NUMBER) if port else ""


@contextmanager
def beside_up() -> Iterator[None]:
    """Let a command use what `up` tells only to its own processes: where limits are counted."""
    given = settings.REDIS_URL
    settings.REDIS_URL = given or embedded_cache_url(settings.STATE_DIR)
    try:
        yield
    finally:
        settings.REDIS_URL = given


def choose_servers(wishes: Wishes) -> Servers:
    """The servers for these wishes, not started yet. Raises BinaryMissing before any starts."""
    state = wishes.state_dir
    rabbitmq = _rabbitmq(state / "rabbitmq") if wishes.broker == "rabbitmq" else None
    postgres = _postgres(state / "postgres") if wishes.database == "postgres" else None
    has_broker = rabbitmq is not None or bool(settings.BROKER_URL)
    if has_broker and settings.REDIS_URL:
        return Servers(None, rabbitmq, postgres)
    return Servers(_valkey(state / "valkey"), rabbitmq, postgres)


def _valkey(directory: Path) -> Valkey:
    find_valkey()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # its password is asked for early
    return Valkey(directory, password=True)


def _rabbitmq(directory: Path) -> RabbitMQ:
    find_rabbitmq("rabbitmq-server")
    return RabbitMQ(directory)


def _postgres(directory: Path) -> Postgres:
    find_postgres("postgres")
    return Postgres(directory)

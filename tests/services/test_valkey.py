from __future__ import annotations

import pytest
import redis

from ansf_platform.services import valkey as valkey_module
from ansf_platform.services.valkey import find_valkey

pytestmark = pytest.mark.valkey


@pytest.fixture
def connect():
    clients = []

    def client(url):
        clients.append(redis.Redis.from_url(url))
        return clients[-1]

    yield client
    for opened in clients:
        opened.close()


def test_it_keeps_nothing_over_a_kill(fresh_valkey, connect):
    server = fresh_valkey()
    connect(server.url).set("key", "value")

    server.kill()
    server.start()

    assert connect(server.url).get("key") is None
    assert not list(server.directory.glob("*.rdb"))


def test_a_password_is_asked_for_and_survives_a_restart(fresh_valkey, connect):
    server = fresh_valkey(password=True)
    server.stop()
    server.start()

    with pytest.raises(redis.AuthenticationError):
        connect(f"redis://127.0.0.1:{server.port}/0").ping()
    assert connect(server.url).ping()


def test_a_full_store_evicts_what_expires_and_never_a_queue(fresh_valkey, connect):
    server = fresh_valkey(maxmemory_mb=8)
    client = connect(server.url)
    client.lpush("queue", *(b"x" * 100 for _ in range(100)))

    for number in range(200):
        client.set(f"cached:{number}", b"x" * 100_000, ex=3600)

    assert client.llen("queue") == 100
    assert client.info("stats")["evicted_keys"] > 0


def test_databases_are_numbered(valkey):
    assert valkey.database_url(3) == f"redis://127.0.0.1:{valkey.port}/3"


def test_its_files_are_private(valkey):
    assert (valkey.directory / "valkey.conf").stat().st_mode & 0o077 == 0


def test_without_the_wheel_a_server_on_the_path_is_used(monkeypatch, tmp_path):
    installed = tmp_path / "redis-server"
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o755)
    monkeypatch.setattr(valkey_module, "get_binary_path", None)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_valkey() == installed

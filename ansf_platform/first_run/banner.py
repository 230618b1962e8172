"""What `up` tells once the first page answers."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from ansf_platform import __version__
from ansf_platform.first_run.processes import FLOWER_USER, System
from ansf_platform.first_run.rows import ADMIN, Prepared

_INDENT = " " * 15


def lines(system: System, prepared: Prepared) -> Iterator[str]:
    """The banner: addresses, who signs in, where data lies, what is not durable, what next."""
    yield f"ANSF {__version__}"
    yield from _addresses(system, prepared)
    yield from _data(system)
    yield from _broker(system)
    yield from _next(system)
    yield _row("stop", "Ctrl-C; `make clean` forgets all data")


def addresses(system: System) -> dict[str, str]:
    """Where the system is reached, by name; no secrets."""
    told = {
        "dashboard": system.url,
        "admin": f"{system.url}admin/",
        "API": f"{system.url}api/v1/docs",
    }
    if system.flower_url:
        told["Flower"] = system.flower_url
    if system.servers.rabbitmq is not None:
        rabbitmq = system.servers.rabbitmq
        told["RabbitMQ"] = f"http://127.0.0.1:{rabbitmq.management_port}/"
    return told


def _addresses(system: System, prepared: Prepared) -> Iterator[str]:
    accounts = {
        "admin": (
            f"{ADMIN} / {prepared.password}   (shown once, now)"
            if prepared.password
            else "as created before; forgotten: manage.py changepassword admin"
        ),
        "Flower": f"{FLOWER_USER} / {system.flower_password}" if system.flower_url else "",
    }
    if system.servers.rabbitmq is not None:
        accounts["RabbitMQ"] = (
            f"{system.servers.rabbitmq.user} / {system.servers.rabbitmq.password}"
        )
    for name, url in addresses(system).items():
        yield _row(name, f"{url:<33}{accounts.get(name, '')}".rstrip())


def _data(system: System) -> Iterator[str]:
    state = system.wishes.state_dir
    if system.servers.postgres is not None:
        yield _row("data", f"private PostgreSQL in {state}/postgres: durable")
    elif settings.DATABASE_URL:
        yield _row("data", "the database of DATABASE_URL")
    else:
        yield _row("data", f"SQLite in {state}/ansf.sqlite3: survives stops and crashes, this")
        yield f"{_INDENT}machine only"


def _broker(system: System) -> Iterator[str]:
    servers = system.servers
    if servers.rabbitmq is not None:
        yield _row("broker", "private RabbitMQ: durable")
    elif settings.BROKER_URL:
        yield _row("broker", "the broker of BROKER_URL")
    if servers.valkey is None:
        return
    if servers.rabbitmq is None and not settings.BROKER_URL:
        what = "messages, caches and limits"
        yield _row("broker", "embedded Valkey")
    else:
        what = "caches and limits"
    yield _row("not durable", f"embedded Valkey is memory only: a stop empties it of {what}.")
    yield f"{_INDENT}Tasks are rows and are sent again"


def _next(system: System) -> Iterator[str]:
    servers = system.servers
    if servers.rabbitmq is None and not settings.BROKER_URL:
        yield _row("RabbitMQ", "manage.py up --broker rabbitmq, or BROKER_URL=amqp://…")
    if servers.postgres is None and not settings.DATABASE_URL:
        yield _row("PostgreSQL", "manage.py up --database postgres, or DATABASE_URL=postgresql://…")


def _row(name: str, text: str) -> str:
    return f"  {name:<{len(_INDENT) - 2}}{text}"

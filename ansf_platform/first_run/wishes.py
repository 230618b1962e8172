"""What the person asked for, and what the environment decided before them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from django.conf import settings

WEB_PORT = 8053
FLOWER_PORT = 5555
IO_SLOTS = 16
_BROKERS = ("amqp", "amqps", "pyamqp", "redis", "rediss", "sentinel")

Broker = Literal["embedded", "rabbitmq"]
Database = Literal["sqlite", "postgres"]


class Refused(ValueError):
    """What was asked for must not or cannot be; the message says why and what to do instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The options of a start; ports are those finally chosen."""

    state_dir: Path
    web_port: int
    flower_port: int | None = None
    """None: no Flower."""
    cpu: int = 1
    io: int = IO_SLOTS
    broker: Broker = "embedded"
    database: Database = "sqlite"
    watch: bool = True


def cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS has no affinity


def refuse_contradictions(broker: Broker, database: Database) -> None:
    """Raise :class:`Refused` when the environment and the options do not fit together."""
    asked = broker != "embedded" or database != "sqlite"
    given = settings.DATABASE_URL or settings.BROKER_URL or settings.REDIS_URL
    if not settings.DEBUG and not asked and not given:
        raise Refused(
            "DEBUG is off and none of DATABASE_URL, BROKER_URL and REDIS_URL is set: an embedded "
            "system is for development and would lose messages at every stop. Set the URLs of "
            "real services, or DEBUG=1 for a development system"
        )
    scheme = settings.BROKER_URL.partition("://")[0]
    if settings.BROKER_URL and scheme not in _BROKERS:
        raise Refused(f"BROKER_URL begins with {scheme!r}: use one of {', '.join(_BROKERS)}://")
    if broker == "rabbitmq" and settings.BROKER_URL:
        raise Refused("BROKER_URL is set and --broker rabbitmq would start another: choose one")
    if database == "postgres" and settings.DATABASE_URL:
        raise Refused("DATABASE_URL is set and --database postgres would start another: choose one")

"""Driving a stack from this process: its database, its definitions, waiting for results."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connections

from ansf_platform.accounts.models import Tenant
from ansf_platform.settings import database_from
from benchmarks import handlers
from benchmarks.stack import Kind, Stack
from coordination import selectors
from coordination.definitions import define
from coordination.models import TaskDefinition

__all__ = ["handlers", "measured_stack", "noop_definition", "until", "workers_ready"]

BOOT_SECONDS = 120.0


@contextmanager
def measured_stack(kind: Kind, extra: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """A fresh system in a temporary directory, with this process's ORM pointed at its rows."""
    environment = {"ANSF_HANDLERS": "benchmarks.handlers", **(extra or {})}
    with (
        tempfile.TemporaryDirectory(prefix="ansf-bench-") as directory,
        Stack(kind, Path(directory), environment) as stack,
        pointed_at(stack.database_url),
    ):
        yield stack


@contextmanager
def pointed_at(url: str) -> Iterator[None]:
    """Use another database as ``default`` for the duration of the block."""
    before = connections.settings["default"]
    connections["default"].close()
    settings.DATABASES["default"] = database_from(url)
    connections.settings = connections.configure_settings(settings.DATABASES)
    del connections["default"]
    try:
        yield
    finally:
        connections["default"].close()
        connections.settings["default"] = before
        del connections["default"]


def noop_definition() -> TaskDefinition:
    """The definition whose handler does nothing."""
    tenant = Tenant.objects.get(slug="default")
    return define(tenant, "noop", handler="bench.noop", pool="cpu")


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition. Raises TimeoutError naming `what`."""
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.02)


def workers_ready(count: int = 1) -> None:
    """Wait until so many workers beat and take work."""
    until(
        lambda: sum(w.alive and w.node.free_slots > 0 for w in selectors.live_workers()) >= count,
        BOOT_SECONDS,
        "workers",
    )

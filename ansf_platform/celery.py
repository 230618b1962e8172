"""The Celery application and what differs between brokers.

A broker is described by a :class:`Profile`, chosen by asking the server for its version:

========================  ===========================================================
RabbitMQ before 4.3       classic queues with ``x-max-priority`` (quorum queues have no
                          usable priorities there)
RabbitMQ 4.3 and later    quorum queues, strict priorities built in
Valkey / Redis            one list per priority; 0 is served first, so the order is mirrored
========================  ===========================================================

Everywhere else in this project 9 is the most urgent priority; :meth:`Profile.priority` is the
only place that knows better. Workers and the coordinator declare the same queues through
:func:`use_profile`, because arguments that differ are refused by the server.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from celery import Celery
from kombu import Connection, Exchange, Queue
from kombu.exceptions import OperationalError

from ansf_platform import env

POOLS = ("cpu", "io")
ENVELOPE_TASK = "ansf.envelope"
PRIORITIES = 10
CONNECT_TIMEOUT = 5.0  # seconds


class BrokerUnreachable(ConnectionError):
    """The broker did not answer in time; the message names it without its password."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How one kind of broker is used."""

    name: str
    queue_suffix: str = ""
    queue_arguments: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    mirrored: bool = False
    confirms: bool = True

    def priority(self, priority: int) -> int:
        """Map 0-9 (9 most urgent) to the number this broker serves in that order."""
        return PRIORITIES - 1 - priority if self.mirrored else priority

    def queue_name(self, pool: str) -> str:
        """The queue of a worker pool. Other arguments need another name (406 otherwise)."""
        return f"ansf.{pool}{self.queue_suffix}"

    def queue(self, pool: str) -> Queue:
        """The declaration of a worker pool's queue, bound to the default exchange."""
        name = self.queue_name(pool)
        return Queue(
            name,
            Exchange(""),
            routing_key=name,
            durable=True,
            queue_arguments=dict(self.queue_arguments),
        )


CLASSIC = Profile("rabbitmq-classic", queue_arguments={"x-max-priority": PRIORITIES})
QUORUM = Profile("rabbitmq-quorum", ".quorum", {"x-queue-type": "quorum"})
REDIS = Profile("redis", mirrored=True, confirms=False)
MEMORY = Profile("memory", confirms=False)


def profile_for(server: Mapping[str, Any], transport: str) -> Profile:
    """The profile for a transport and the properties that its server told."""
    if transport in {"redis", "rediss", "sentinel"}:
        return REDIS
    if transport == "memory":
        return MEMORY
    version = str(server.get("version", "0.0")).split(".")
    numbers = tuple(int(part) for part in version[:2] if part.isdigit())
    return QUORUM if numbers >= (4, 3) else CLASSIC


def probe_profile(url: str, *, patience: float = CONNECT_TIMEOUT) -> Profile:
    """Ask the broker at `url` what it is, retrying for `patience` seconds.

    Raises :class:`BrokerUnreachable`.
    """
    give_up = time.monotonic() + patience
    while True:
        with Connection(url, connect_timeout=CONNECT_TIMEOUT) as connection:
            try:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=2)
                server = getattr(connection.connection, "server_properties", {}) or {}
                return profile_for(server, connection.transport_cls)
            except _lost(connection) as error:
                if time.monotonic() >= give_up:
                    message = f"no broker answers at {connection.as_uri()}: {error}"
                    raise BrokerUnreachable(message) from error
        time.sleep(0.2)


def _lost(connection: Connection) -> tuple[type[BaseException], ...]:
    """What the transport raises when there is no connection to be had."""
    return (OSError, OperationalError, *connection.recoverable_connection_errors)


def use_profile(celery: Celery, profile: Profile) -> None:
    """Make `celery` declare and consume the queues of `profile`."""
    celery.conf.update(
        task_queues=[profile.queue(pool) for pool in POOLS],
        task_default_queue=profile.queue_name("cpu"),
        task_default_exchange="",
        task_default_routing_key=profile.queue_name("cpu"),
    )


def _transport_options(url: str) -> dict[str, Any]:
    if url.startswith(("redis", "rediss")):
        return {
            "queue_order_strategy": "priority",
            "priority_steps": list(range(PRIORITIES)),
            "visibility_timeout": 3600,  # a redelivery claims 0 rows and is acknowledged
            "socket_keepalive": True,
            "socket_timeout": 15,
            "health_check_interval": 10,
        }
    # Without them a blocked broker (memory or disk alarm) hangs a publisher for ever.
    return {"confirm_publish": True, "read_timeout": 5, "write_timeout": 5}


def make_app(url: str | None = None) -> Celery:
    """The application with the project's settings; queues are set by :func:`use_profile`."""
    url = url or env.text("BROKER_URL") or "memory://"
    # Celery looks for Django when the application is made: importing this package before the
    # variable is set, as manage.py does, would leave it without any handler.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ansf_platform.settings")
    # Whoever imports the handlers would else check all of Django first, and for that load every
    # page and every address.
    os.environ.setdefault("CELERY_SKIP_CHECKS", "1")
    celery = Celery("ansf", set_as_current=True)
    celery.conf.update(
        broker_url=url,
        broker_transport_options=_transport_options(url),
        broker_heartbeat=10,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_pool_acquire_timeout=5,
        result_backend="workers.backend:ProgressBackend",
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json", "msgpack"],
        result_accept_content=["json"],
        # A message is acknowledged after its envelope ended; whether work is lost or repeated
        # is decided by rows and leases, never by the broker.
        task_acks_late=True,
        task_acks_on_failure=True,
        task_acks_on_timeout=True,
        task_reject_on_worker_lost=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_detect_quorum_queues=True,
        task_create_missing_queues=False,
        imports=list(env.names("ANSF_HANDLERS")),
        timezone="UTC",
    )
    # Otherwise Celery closes the database connection before and after every message.
    celery.conf["CELERY_DB_REUSE_MAX"] = 1_000_000
    use_profile(celery, profile_for({}, url.split(":", 1)[0].split("+")[0]))
    celery.autodiscover_tasks()
    return celery


app = make_app()

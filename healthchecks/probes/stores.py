"""Probes of the servers below: database, broker, Redis."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import redis
from django.conf import settings
from django.db import connection
from kombu import Connection

from ansf_platform.celery import POOLS, Profile, profile_for
from healthchecks.monitor import State
from healthchecks.probes.measurement import (
    Measurement,
    Probe,
    Subject,
    above,
    settings_of,
    threshold,
)
from healthchecks.schema import pending_migrations

BLOCKED_PATIENCE = 0.25  # seconds in which a broker with an alarm says so after a publish
NOBODY = "ansf.healthcheck.nobody"  # a queue that never exists: what is sent there is dropped

LATENCY_PARAMS: Mapping[str, Any] = {
    "degraded_ms": threshold(250, "Degraded when an answer takes longer."),
}
REDIS_PARAMS: Mapping[str, Any] = {
    **LATENCY_PARAMS,
    "degraded_memory_percent": threshold(90, "Degraded when more of maxmemory is used."),
}


def measure_database(check: Subject, _now: datetime) -> Measurement:
    """One query; failed while migrations are missing. The value is the time of the query."""
    start = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    took_ms = (time.perf_counter() - start) * 1000
    pending = pending_migrations()
    if pending:
        message = f"{len(pending)} migrations are not applied, first {pending[0]}"
        return Measurement(State.FAILED, message, took_ms, "ms", "run: manage.py migrate")
    limit = settings_of(check, LATENCY_PARAMS)["degraded_ms"]
    return Measurement(
        above(took_ms, limit, float("inf")),
        f"{connection.display_name} answered in {took_ms:.1f} ms, migrations applied",
        took_ms,
        "ms",
        "look at the load and the locks of the database",
    )


def measure_redis(check: Subject, _now: datetime) -> Measurement:
    """PING and the memory in use. The value is the time of the PING."""
    if not settings.REDIS_URL:
        return _unset("REDIS_URL", "limits, caches and live pages")
    wait = check.timeout_seconds / 2  # connecting and answering each
    limits = settings_of(check, REDIS_PARAMS)
    with redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=wait, socket_connect_timeout=wait
    ) as client:
        start = time.perf_counter()
        client.ping()
        took_ms = (time.perf_counter() - start) * 1000
        used = _memory_percent(client.info("memory"))
    state = max(
        above(took_ms, limits["degraded_ms"], float("inf")),
        above(used, limits["degraded_memory_percent"], float("inf")),
        key=(State.OK, State.DEGRADED).index,
    )
    memory = f", {used:.0f} % of maxmemory used" if used else ""
    message = f"answered in {took_ms:.1f} ms{memory}"
    return Measurement(state, message, took_ms, "ms", "raise maxmemory or look at its load")


def _memory_percent(info: Mapping[str, Any]) -> float:
    limit = int(info.get("maxmemory", 0))
    return 100 * int(info["used_memory"]) / limit if limit else 0.0


def _unset(variable: str, what: str) -> Measurement:
    fix = f"run manage.py up, which starts an embedded one, or set {variable}"
    return Measurement(State.FAILED, f"{variable} is not set: no {what}", fix=fix)


def measure_broker(check: Subject, _now: datetime) -> Measurement:
    """Connect, find the queues of both pools, and hear whether an alarm blocks publishers."""
    if not settings.BROKER_URL:
        return _unset("BROKER_URL", "messages to workers")
    blocked: list[str] = []
    start = time.perf_counter()
    with _broker_connection(settings.BROKER_URL, check.timeout_seconds, blocked) as broker:
        connect(broker, check.timeout_seconds)
        took_ms = (time.perf_counter() - start) * 1000
        profile = profile_for(server_properties(broker), str(broker.transport_cls))
        if not profile.confirms:  # no declarations and no alarms there
            return _broker_answers(broker, profile, took_ms)
        missing = [pool for pool in POOLS if not _queue_exists(broker, profile.queue_name(pool))]
        _provoke_alarm(broker, blocked)
    return _judge_broker(profile, missing, blocked, took_ms)


def connect(broker: Connection, timeout: float) -> None:
    """Connect, trying once more at once. Raises kombu's OperationalError, OSError."""
    patience = max(1, round(timeout))  # between tries; sockets keep the exact timeout
    broker.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=patience)


def server_properties(broker: Connection) -> Mapping[str, Any]:
    """What a connected broker says about itself; empty for Redis."""
    return getattr(broker.connection, "server_properties", None) or {}


def _broker_connection(url: str, timeout: float, blocked: list[str]) -> Connection:
    options: dict[str, Any] = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
    if url.startswith(("amqp", "pyamqp")):
        options = {
            "read_timeout": timeout,
            "write_timeout": timeout,
            "on_blocked": blocked.append,
        }
    return Connection(url, connect_timeout=timeout, transport_options=options)


def _broker_answers(broker: Connection, profile: Profile, took_ms: float) -> Measurement:
    channel: Any = broker.default_channel
    channel.client.ping()
    return Measurement(State.OK, f"{profile.name}: connected in {took_ms:.0f} ms", took_ms, "ms")


def _queue_exists(broker: Connection, name: str) -> bool:
    channel: Any = broker.channel()  # the server closes the channel of a failed question
    try:
        channel.queue_declare(name, passive=True)
    except broker.channel_errors:
        return False
    channel.close()
    return True


def _provoke_alarm(broker: Connection, blocked: list[str]) -> None:
    """A server with a memory or disk alarm says so only to connections that publish."""
    channel: Any = broker.channel()
    message = channel.prepare_message(
        b"probe", content_type="application/octet-stream", content_encoding="binary"
    )
    channel.basic_publish(message, exchange="", routing_key=NOBODY)
    until = time.monotonic() + BLOCKED_PATIENCE
    while not blocked and (left := until - time.monotonic()) > 0:
        try:
            broker.drain_events(timeout=left)
        except TimeoutError:
            break
    if blocked:  # it no longer reads: a polite goodbye would never be answered
        broker.connection.transport.close()


def _judge_broker(
    profile: Profile, missing: list[str], blocked: list[str], took_ms: float
) -> Measurement:
    if blocked:
        message = f"{profile.name} blocks publishers: {blocked[0]}"
        fix = "free its disk or memory: rabbitmqctl list_alarms"
        return Measurement(State.FAILED, message, took_ms, "ms", fix)
    if missing:
        names = ", ".join(profile.queue_name(pool) for pool in missing)
        message = f"{profile.name} has no queue {names}"
        fix = "start manage.py coordinate or a worker: they declare it"
        return Measurement(State.DEGRADED, message, took_ms, "ms", fix)
    message = f"{profile.name}: connected in {took_ms:.0f} ms, queues declared, no alarm"
    return Measurement(State.OK, message, took_ms, "ms")


DATABASE = Probe(
    measure_database,
    "the database answers and is migrated",
    LATENCY_PARAMS,
    needs_database=True,
)
BROKER = Probe(measure_broker, "the broker takes messages and has the queues")
REDIS = Probe(measure_redis, "Redis answers", REDIS_PARAMS)

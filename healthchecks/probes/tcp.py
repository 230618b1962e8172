"""Probe of a TCP port: does something accept connections there, and how fast."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from ansf_platform import addresses
from healthchecks.monitor import State
from healthchecks.probes.measurement import (
    Measurement,
    Probe,
    Subject,
    TargetInvalid,
    above,
    may_reach_private,
    settings_of,
    threshold,
)

PARAMS: Mapping[str, Any] = {
    "degraded_ms": threshold(1000, "Degraded when connecting takes longer."),
}


def split_target(target: str) -> tuple[str, int]:
    """Host and port of "host:port" or "[::1]:port". Raises TargetInvalid."""
    try:
        parts = urlsplit(f"//{target}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise TargetInvalid(f"use host:port with a port from 1 to 65535 ({error})") from error
    if not host or not port or parts.username or parts.path or parts.query or parts.fragment:
        raise TargetInvalid("use host:port, such as db.example.com:5432")
    return host, port


def _validate(target: str) -> None:
    split_target(target)


def measure(check: Subject, _now: datetime) -> Measurement:
    """Connect and close again; the value is the time to connect."""
    host, port = split_target(check.target)
    start = time.monotonic()
    until = start + check.timeout_seconds
    private = may_reach_private(check)
    found = addresses.resolve(host, port, private=private, until=until)
    addresses.connect(found, port, until).close()
    took_ms = (time.monotonic() - start) * 1000
    limit = settings_of(check, PARAMS)["degraded_ms"]
    state = above(took_ms, limit, float("inf"))
    slow = "" if state is State.OK else f", slower than {limit:g} ms"
    return Measurement(
        state, f"connected in {took_ms:.0f} ms{slow}", took_ms, "ms", "look at the host's load"
    )


TCP = Probe(measure, "a TCP port accepts connections", PARAMS, _validate, for_tenants=True)

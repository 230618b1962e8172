"""Probe of an HTTP address: status, optional text, time; redirects are judged like targets."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import urljoin, urlsplit

from healthchecks.monitor import State
from healthchecks.probes import addresses
from healthchecks.probes.measurement import (
    Measurement,
    Probe,
    Subject,
    TargetInvalid,
    above,
    settings_of,
    threshold,
)

REDIRECTS = 3
BODY_BYTES = 64 * 1024
DEFAULT_PORTS = {"http": 80, "https": 443}
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})

PARAMS: Mapping[str, Any] = {
    "status": {
        "type": "array",
        "items": {"type": "integer", "minimum": 100, "maximum": 599},
        "minItems": 1,
        "maxItems": 20,
        "default": [200],
        "description": "Statuses that are ok, after redirects.",
    },
    "contains": {
        "type": "string",
        "maxLength": 200,
        "default": "",
        "description": "Text that the first 64 kB of the body must contain.",
    },
    "degraded_ms": threshold(2000, "Degraded when the answer takes longer."),
    "redirects": {
        "type": "integer",
        "minimum": 0,
        "maximum": REDIRECTS,
        "default": REDIRECTS,
        "description": "Redirects to follow.",
    },
}


@dataclass(frozen=True, slots=True)
class Place:
    """A URL taken apart; `target` is path and query as they are sent."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def host_header(self) -> str:
        """The host as the header names it: IPv6 in brackets, the port where it is unusual."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == DEFAULT_PORTS[self.scheme] else f"{name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    location: str
    body: bytes


def split_url(url: str) -> Place:
    """Take a URL apart. Raises TargetInvalid."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise TargetInvalid(f"not a URL: {error}") from error
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise TargetInvalid("use an http:// or https:// URL")
    if parts.username is not None or parts.password is not None:
        raise TargetInvalid("a target is shown to everybody: put no credentials into it")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise TargetInvalid("percent-encode spaces and other characters outside ASCII")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme], path)


def _validate(target: str) -> None:
    split_url(target)


def measure(check: Subject, _now: datetime) -> Measurement:
    """GET the target; the value is the time until the answer was complete."""
    wanted = settings_of(check, PARAMS)
    start = time.monotonic()
    private = addresses.may_reach_private(check)
    until = start + check.timeout_seconds
    answer = follow(check.target, redirects=wanted["redirects"], private=private, until=until)
    took_ms = (time.monotonic() - start) * 1000
    return judge(answer, took_ms, wanted)


def judge(answer: Answer, took_ms: float, wanted: Mapping[str, Any]) -> Measurement:
    """What an answer means for a check with these parameters."""
    said = f"answered {answer.status} in {took_ms:.0f} ms"
    if answer.status not in wanted["status"]:
        expected = ", ".join(map(str, wanted["status"]))
        message = f"{said}, expected {expected}"
        return Measurement(State.FAILED, message, took_ms, "ms", "look at the log of that service")
    if wanted["contains"].encode() not in answer.body:
        message = f"{said} without the text {wanted['contains']!r}"
        return Measurement(State.FAILED, message, took_ms, "ms", "look at what the page shows")
    state = above(took_ms, wanted["degraded_ms"], float("inf"))
    return Measurement(state, said, took_ms, "ms", "look at the load of that service")


def follow(url: str, *, redirects: int, private: bool, until: float) -> Answer:
    """GET a URL and what it redirects to, each hop resolved and judged anew.

    Raises OSError (AddressRefused, TooLate among them), http.client.HTTPException, TargetInvalid.
    """
    for hops_left in range(redirects, -1, -1):
        answer = get(split_url(url), private=private, until=until)
        if answer.status not in REDIRECT_STATUSES or not answer.location or not hops_left:
            return answer
        url = urljoin(url, answer.location)
    raise AssertionError("the last hop returns")


def get(place: Place, *, private: bool, until: float) -> Answer:
    """One request to the address the host resolves to now."""
    found = addresses.resolve(place.host, place.port, private=private, until=until)
    connection = http.client.HTTPConnection(place.host, place.port)
    raw = addresses.connect(found, place.port, until)
    with closing(connection), raw, addresses.closed_at(raw, until):
        connection.sock = _secured(raw, place.host) if place.scheme == "https" else raw
        return _exchange(connection, place)


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


def _secured(raw: Any, host: str) -> ssl.SSLSocket:
    return _trust().wrap_socket(raw, server_hostname=host)


def _exchange(connection: http.client.HTTPConnection, place: Place) -> Answer:
    connection.putrequest("GET", place.target, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", place.host_header)
    connection.putheader("User-Agent", "ansf-healthcheck/1")
    connection.putheader("Accept", "*/*")
    connection.putheader("Connection", "close")
    connection.endheaders()
    with connection.getresponse() as response:
        body = response.read(BODY_BYTES)
        return Answer(response.status, response.getheader("Location", ""), body)


HTTP = Probe(measure, "an HTTP address answers as expected", PARAMS, _validate, for_tenants=True)

"""Questions that wait for an answer: is it true yet, does the port answer, does the page answer."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

POLL_S = 0.02
_PROBE_TIMEOUT_S = 2.0


def wait_until(
    condition: Callable[[], bool], deadline_s: float, *, every_s: float = POLL_S
) -> bool:
    """Ask until the condition holds or the deadline passes; says whether it held."""
    end = time.monotonic() + deadline_s
    while True:
        if condition():
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(every_s)


def port_answers(host: str, port: int) -> bool:
    """Whether something accepts a TCP connection there."""
    try:
        with socket.create_connection((host, port), _PROBE_TIMEOUT_S):
            return True
    except OSError:
        return False


def http_answers(url: str) -> bool:
    """Whether a GET of this http URL is answered with a status below 500."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=_PROBE_TIMEOUT_S
    )
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status < http.client.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

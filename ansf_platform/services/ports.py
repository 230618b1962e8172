"""Free ports on 127.0.0.1, outside the range the kernel gives to outgoing connections."""

from __future__ import annotations

import random
import socket
import threading
from pathlib import Path

LOOPBACK = "127.0.0.1"
_LOWEST_PORT = 10_240  # below lie well-known services (5432, 5672, 6379, 8053)
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FALLBACK_EPHEMERAL_START = 32_768  # Linux default; macOS starts at 49 152
_ATTEMPTS = 200

_random = random.SystemRandom()  # builders on one machine must not draw the same sequence
_given: set[int] = set()
_given_lock = threading.Lock()


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Servers set it too: connections in TIME_WAIT do not occupy the port, a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port nobody listens on, never given twice by this process.

    Raises OSError when none is found. Another process may still take it before its server binds.
    """
    ceiling = _ephemeral_start()
    for _ in range(_ATTEMPTS):
        port = _random.randrange(_LOWEST_PORT, ceiling)
        if _reserve(port):
            return port
    raise OSError(f"no free port between {_LOWEST_PORT} and {ceiling} on {LOOPBACK}")


def free_ports(count: int) -> tuple[int, ...]:
    """As many distinct free ports as asked."""
    return tuple(free_port() for _ in range(count))


def choose_port(preferred: int) -> int:
    """The preferred port if it is free, any other free one if not; compare to tell the user."""
    return preferred if is_free(preferred) else free_port()


def _reserve(port: int) -> bool:
    with _given_lock:
        if port in _given or not is_free(port):
            return False
        _given.add(port)
        return True


def _ephemeral_start() -> int:
    try:
        start = int(_EPHEMERAL_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _FALLBACK_EPHEMERAL_START
    # A machine tuned to a very wide ephemeral range leaves no room below it.
    return start if start > _LOWEST_PORT + 1_000 else _FALLBACK_EPHEMERAL_START

"""Time-ordered identifiers (UUIDv7, RFC 9562 §5.7), increasing within a process."""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from datetime import UTC, datetime

_SUB_MILLISECOND_BITS = 12
_RANDOM_BITS = 62


class _Clock:
    """Milliseconds and a 12-bit fraction as one number that never repeats."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def tick(self) -> int:
        milliseconds, rest = divmod(time.time_ns(), 1_000_000)
        now = (milliseconds << _SUB_MILLISECOND_BITS) | (
            (rest << _SUB_MILLISECOND_BITS) // 1_000_000
        )
        with self._lock:
            self._last = max(now, self._last + 1)
            return self._last


_clock = _Clock()


def uuid7() -> uuid.UUID:
    """A new identifier, greater than every one this process made before."""
    tick = _clock.tick()
    return _assemble(tick, secrets.randbits(_RANDOM_BITS))


def first_uuid7_at(moment: datetime) -> uuid.UUID:
    """The smallest identifier of that moment: ids below it are older."""
    milliseconds = max(0, int(moment.astimezone(UTC).timestamp() * 1000))  # none is older than 1970
    return _assemble(milliseconds << _SUB_MILLISECOND_BITS, 0)


def _assemble(tick: int, random: int) -> uuid.UUID:
    milliseconds, fraction = divmod(tick, 1 << _SUB_MILLISECOND_BITS)
    value = (milliseconds << 80) | (0x7 << 76) | (fraction << 64) | (0b10 << 62) | random
    return uuid.UUID(int=value)

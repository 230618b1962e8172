"""Making entries void: by tag, entry, scope, or all of a tenant; constant time, nothing searched.

A moment is written down, and an entry from before it is served to nobody. The bytes of what is
void come back when it is found, expires, or (scope and tenant) is purged right after.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from gateway.cache.connection import Connection
from gateway.cache.keys import Partition, digest_of, home_of
from gateway.cache.policy import LONGEST_TTL_S
from gateway.cache.scripts import INVALIDATE, PURGE

MOST_REMEMBERED = 10_000
"""Invalidated tags and scopes; beyond, everything older is void."""

_PURGED_AT_ONCE = 500
_PURGE_S = 5.0
_SCOPE = re.compile(r"[0-9a-f]{64}")


class Unknown(LookupError):
    """There is no such thing to invalidate; the message says what."""


def invalidate_tags(connection: Connection, partition: Partition, tags: Sequence[str]) -> int:
    """Make void what carries one of the tags; how many tags were given. Raises Away."""
    return _invalidate(connection, partition, [f"t:{digest_of(tag)}" for tag in tags])


def invalidate_entry(connection: Connection, partition: Partition, entry: str) -> None:
    """Remove an entry. Raises Away, and Unknown if this partition has none of that name."""
    home = home_of(entry, partition)
    if home != partition or not _invalidate(connection, partition, [f"e:{entry}"]):
        raise Unknown(f"there is no entry '{entry}'")


def invalidate_scope(connection: Connection, partition: Partition, scope: str) -> int:
    """Make a scope void; how many entries were removed. Raises Away and Unknown."""
    if not _SCOPE.fullmatch(scope):
        raise Unknown(f"'{scope}' is no scope: give the 64 hexadecimal digits that explain shows")
    _invalidate(connection, partition, [f"s:{scope}"])
    return _purge(connection, partition, scope)


def invalidate_all(connection: Connection, partition: Partition) -> int:
    """Make everything void; how many entries were removed at once. Raises Away."""
    _invalidate(connection, partition, ["*"])
    return _purge(connection, partition, "")


def _invalidate(connection: Connection, partition: Partition, names: Sequence[str]) -> int:
    longest_us = int(LONGEST_TTL_S * 1e6)
    return int(connection.ask(INVALIDATE, partition, longest_us, MOST_REMEMBERED, *names))


def _purge(connection: Connection, partition: Partition, scope: str) -> int:
    """Remove what was stored before this call, for a bounded time: the rest is void anyway."""
    removed, ends, until = 0, time.monotonic() + _PURGE_S, ""
    while time.monotonic() < ends:
        gone, until = connection.ask(PURGE, partition, _PURGED_AT_ONCE, scope, until)
        removed += int(gone)
        if gone < _PURGED_AT_ONCE:
            break
    return removed

"""What a limiter asks: one server, the nodes of a cluster, or nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import redis

from ratelimit.cluster import ClusterWire
from ratelimit.line import AWAY, PORTION, Late, Replies, Unreachable, Wire, is_spoilt
from ratelimit.scripts import Command

__all__ = ["AWAY", "PORTION", "Client", "Replies", "Unreachable", "connect", "is_spoilt"]

Client = redis.Redis | redis.RedisCluster
CONNECT_S = 0.05
"""How long a caller waits for a new connection, once: failing to get one opens the breaker."""


class Transport(Protocol):
    """What a limiter asks: one server, or the nodes of a cluster."""

    def run(self, commands: Sequence[Command]) -> Replies:
        """One round trip to each server concerned, for every `PORTION` commands; another where a
        script was lost.

        Raises one of `AWAY`, also when one of the replies is an error.
        """

    def ask(self, command: Command) -> Any:
        """`run` for one command."""

    def replies(self, commands: Sequence[Command]) -> Replies:
        """`run` with error replies as values."""

    def warm(self, patience_s: float) -> None:
        """Connect where nothing is connected, so that no caller has to. Raises one of `AWAY`."""

    def close(self) -> None:
        """Give the connections back to the client."""


class NoWire:
    """What a limiter without a server asks: nobody."""

    def run(self, commands: Sequence[Command]) -> Replies:
        """Raises."""
        raise Unreachable("no server is configured")

    def ask(self, command: Command) -> Any:
        """Raises."""
        raise Unreachable("no server is configured")

    def replies(self, commands: Sequence[Command]) -> Replies:
        """Raises."""
        raise Unreachable("no server is configured")

    def warm(self, patience_s: float) -> None:
        """There is nothing to connect to."""

    def close(self) -> None:
        """Nothing is open."""


def _unheard(command: Command, reply: object, ago_us: int) -> None:
    """What was too late changes nothing."""


def connect(
    client: Client | None, budget_s: float, connect_s: float = CONNECT_S, heard: Late = _unheard
) -> Transport:
    """The transport for a client; seconds to wait for replies, and for a new connection.

    `heard` is told of replies that came too late.
    """
    if client is None:
        return NoWire()
    if isinstance(client, redis.RedisCluster):
        return ClusterWire(client, budget_s, connect_s, heard)
    return Wire(client, budget_s, connect_s, heard)

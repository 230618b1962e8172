"""The nodes of a Redis Cluster, each asked for the keys that it keeps."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from typing import Any

import redis
from redis.cluster import ClusterNode
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    SlotNotCoveredError,
)
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import TimeoutError as TooLate

from ratelimit.line import AWAY, Late, Replies, Unreachable, Wire, partly, without_errors
from ratelimit.scripts import Command

logger = logging.getLogger(__name__)

_MOVED = (MovedError, AskError, ClusterDownError)


class ClusterWire:
    """A wire to each node of a Redis Cluster; commands go where their keys are.

    When slots have moved or a node is gone the map is read anew, and the commands concerned are
    sent once more.
    """

    def __init__(
        self, client: redis.RedisCluster, budget_s: float, connect_s: float, heard: Late
    ) -> None:
        self._client = client
        self._heard = heard
        self._times = (budget_s, connect_s)
        self._wires: dict[str, Wire] = {}
        self._map = ClusterMap(client)

    def ask(self, command: Command) -> Any:
        """See `ratelimit.wire.Transport`."""
        return self.run((command,))[0]

    def run(self, commands: Sequence[Command]) -> Replies:
        """See `ratelimit.wire.Transport`."""
        return without_errors(self.replies(commands))

    def replies(self, commands: Sequence[Command]) -> Replies:
        """See `ratelimit.wire.Transport`."""
        replies: Replies = [None] * len(commands)
        asked: list[int] = []
        for wire, places in self._by_node(commands):
            with partly(done=bool(asked)):
                found = self._asked(wire, [commands[place] for place in places])
            asked += places
            for place, reply in zip(places, found, strict=True):
                replies[place] = reply
        return replies

    def close(self) -> None:
        """See `ratelimit.wire.Transport`."""
        while self._wires:
            self._wires.popitem()[1].close()

    def warm(self, patience_s: float) -> None:
        """Connect to every node that keeps keys."""
        for node in self._client.get_primaries():  # type: ignore[no-untyped-call]
            self._wire_to(node).warm(patience_s)

    def _asked(self, wire: Wire, commands: Sequence[Command]) -> Replies:
        try:
            replies = wire.replies(commands)
        except Disconnected as error:
            lost = not isinstance(error, Unreachable)
            if lost and any(command.once for command in commands):
                raise
            self._read_map()
            return [self._again(command) for command in commands]
        moved = [i for i, reply in enumerate(replies) if isinstance(reply, _MOVED)]
        if moved:
            self._read_map()
        for i in moved:
            replies[i] = self._again(commands[i])
        return replies

    def _read_map(self) -> None:
        self._map.read_anew(self._times[1])
        self.close()

    def _again(self, command: Command) -> Any:
        ((wire, _),) = self._by_node((command,))
        return wire.replies((command,))[0]

    def _by_node(self, commands: Sequence[Command]) -> list[tuple[Wire, list[int]]]:
        by_node: dict[str, tuple[Wire, list[int]]] = {}
        for place, command in enumerate(commands):
            node: ClusterNode | None = self._client.get_node_from_key(  # type: ignore[no-untyped-call]
                command.keys[0]
            )
            if node is None:
                raise SlotNotCoveredError(command.keys[0])
            if node.name not in by_node:
                by_node[node.name] = (self._wire_to(node), [])
            by_node[node.name][1].append(place)
        return list(by_node.values())

    def _wire_to(self, node: ClusterNode) -> Wire:
        wire = self._wires.get(node.name)  # others may close them all meanwhile
        if wire is None:
            wire = Wire(self._client.get_redis_connection(node), *self._times, self._heard)
            self._wires[node.name] = wire
        return wire


class ClusterMap:
    """Which node keeps what; read anew in a thread, for the client's timeouts are its own."""

    def __init__(self, client: redis.RedisCluster) -> None:
        self._client = client
        self._read = threading.Event()
        self._pid = 0

    def read_anew(self, patience_s: float) -> None:
        """Read it, with others who want that. Raises TooLate after `patience_s`."""
        if self._read.is_set() or self._pid != os.getpid():
            self._read, self._pid = threading.Event(), os.getpid()
            threading.Thread(
                target=self._run, args=(self._read,), name="limiter-map", daemon=True
            ).start()
        if not self._read.wait(patience_s):
            raise TooLate("the map of the cluster could not be read in time")

    def _run(self, read: threading.Event) -> None:
        try:
            self._client.nodes_manager.initialize()
        except AWAY as error:
            logger.debug("the map of the cluster: %s", error)  # the old one may still do
        finally:
            read.set()

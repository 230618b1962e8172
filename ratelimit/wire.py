"""Connections to one server, used directly: packed commands out, as many replies in.

A redis-py client connects (address, TLS, password, database, Sentinel); its connections are then
driven without the client's layers of retries, callbacks and metrics, which cost more time than
the server does. A reply that comes later than the budget is awaited by nobody and thrown away
when the connection is used next, so that slowness does not cost a new connection.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    NoScriptError,
    RedisError,
    ResponseError,
    SlotNotCoveredError,
)
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import TimeoutError as TooLate
from redis.retry import Retry

from ratelimit.scripts import Command

Client = redis.Redis | redis.RedisCluster
Replies = list[Any]
CONNECT_S = 0.05
"""How long a caller waits for a new connection, once: failing to get one opens the breaker."""
_MOVED = (MovedError, AskError, ClusterDownError)
PORTION = 200
"""Commands sent at once; more of them take several round trips, each with its own budget."""
_MOST_OWED = 2 * PORTION  # late replies; a connection that owes more is closed


class Unreachable(Disconnected):
    """No connection could be made at all."""


class Line:
    """One connection and the number of replies it still owes to callers that gave up."""

    __slots__ = ("_read", "_send", "connection", "owed")

    def __init__(self, connection: Any, budget_s: float) -> None:
        connection.update_current_socket_timeout(budget_s)
        self.connection = connection
        self.owed = 0
        self._send = connection.send_packed_command
        self._read: Callable[..., Any] = connection.read_response

    def exchange(self, packed: bytes, count: int) -> Replies:
        """Send, and read `count` replies; an error reply is a value among them."""
        self._send((packed,), False)
        self.owed += count
        while self.owed > count:
            self._reply()
        return [self._reply() for _ in range(count)]

    def ask(self, packed: bytes) -> Any:
        """`exchange` for one command."""
        self._send((packed,), False)
        self.owed += 1
        while self.owed > 1:
            self._reply()
        return self._reply()

    def _reply(self) -> Any:
        try:
            reply = self._read(True, disconnect_on_error=False)
        except ResponseError as error:
            reply = error
        self.owed -= 1
        return reply


class Transport(Protocol):
    """What a limiter asks: one server, or the nodes of a cluster."""

    def run(self, commands: Sequence[Command]) -> Replies:
        """One round trip to each server concerned, for every `PORTION` commands; another where a
        script was lost.

        Raises RedisError or OSError, also when one of the replies is an error.
        """

    def ask(self, command: Command) -> Any:
        """`run` for one command."""

    def close(self) -> None:
        """Give the connections back to the client."""


class Wire:
    """All connections of one process to one server. Threads share them, forks do not.

    They are made as the client's pool makes them, but without its retries: the caller waits.
    """

    def __init__(self, client: redis.Redis, budget_s: float, connect_s: float) -> None:
        self._budget_s = budget_s
        self._class = client.connection_pool.connection_class
        self._options = client.connection_pool.connection_kwargs | {
            "retry": Retry(NoBackoff(), 0),
            "retry_on_error": [],
            "socket_timeout": connect_s,
            "socket_connect_timeout": connect_s,
        }
        self._idle: deque[Line] = deque()
        self._pid = os.getpid()

    def ask(self, command: Command) -> Any:
        """See `Transport`."""
        reply = self._with_line(Line.ask, command.packed)
        if isinstance(reply, NoScriptError):
            return self.run((command,))[0]
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    def run(self, commands: Sequence[Command]) -> Replies:
        """See `Transport`."""
        replies: Replies = []
        for start in range(0, len(commands), PORTION):
            replies += self._portion(commands[start : start + PORTION])
        return replies

    def _portion(self, commands: Sequence[Command]) -> Replies:
        packed = b"".join([command.packed for command in commands])
        replies = self._with_line(Line.exchange, packed, len(commands))
        lost = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if lost:
            packed = b"".join([commands[i].packed_whole() for i in lost])
            again = self._with_line(Line.exchange, packed, len(lost))
            for i, reply in zip(lost, again, strict=True):
                replies[i] = reply
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        return list(replies)

    def close(self) -> None:
        """See `Transport`."""
        while self._idle:
            self._idle.pop().connection.disconnect()

    def _with_line(self, use: Callable[..., Any], *what: Any) -> Any:
        line = self._lend()
        if line is not None:
            try:
                return self._use(line, use, what)
            except Disconnected:
                pass  # it was closed while idle, as by a restart: a new one is worth one attempt
        return self._use(self._connect(), use, what)

    def _use(self, line: Line, use: Callable[..., Any], what: tuple[Any, ...]) -> Any:
        try:
            replies = use(line, *what)
        except TooLate:
            if line.owed > _MOST_OWED or not line.connection.is_connected:
                line.connection.disconnect()
            else:
                self._idle.append(line)
            raise
        except BaseException:
            line.connection.disconnect()
            raise
        self._idle.append(line)
        return replies

    def _lend(self) -> Line | None:
        if self._pid != os.getpid():
            self._idle, self._pid = deque(), os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _connect(self) -> Line:
        connection = self._class(**self._options)
        try:
            connection.connect()
        except (RedisError, OSError) as error:
            raise Unreachable(str(error)) from error
        return Line(connection, self._budget_s)


class ClusterWire:
    """A wire to each node of a Redis Cluster; commands go where their keys are.

    When slots have moved or a node is gone the map is read anew, and the commands of that node
    are sent once more.
    """

    def __init__(self, client: redis.RedisCluster, budget_s: float, connect_s: float) -> None:
        self._client = client
        self._times = (budget_s, connect_s)
        self._wires: dict[str, Wire] = {}

    def ask(self, command: Command) -> Any:
        """See `Transport`."""
        return self.run((command,))[0]

    def run(self, commands: Sequence[Command]) -> Replies:
        """See `Transport`."""
        replies: Replies = [None] * len(commands)
        for name, places in self._by_node(commands).items():
            some = [commands[place] for place in places]
            try:
                found = self._wires[name].run(some)
            except (*_MOVED, Disconnected):
                self._client.nodes_manager.initialize()
                self.close()
                found = [self._again(command) for command in some]
            for place, reply in zip(places, found, strict=True):
                replies[place] = reply
        return replies

    def close(self) -> None:
        """See `Transport`."""
        while self._wires:
            self._wires.popitem()[1].close()

    def _again(self, command: Command) -> Any:
        (name,) = self._by_node((command,))
        return self._wires[name].ask(command)

    def _by_node(self, commands: Sequence[Command]) -> dict[str, list[int]]:
        by_node: dict[str, list[int]] = {}
        for place, command in enumerate(commands):
            node: ClusterNode | None = self._client.get_node_from_key(  # type: ignore[no-untyped-call]
                command.keys[0]
            )
            if node is None:
                raise SlotNotCoveredError(command.keys[0])
            if node.name not in self._wires:
                client = self._client.get_redis_connection(node)
                self._wires[node.name] = Wire(client, *self._times)
            by_node.setdefault(node.name, []).append(place)
        return by_node


class NoWire:
    """What a limiter without a server asks: nobody."""

    def run(self, commands: Sequence[Command]) -> Replies:
        """Raises."""
        raise Unreachable("no server is configured")

    def ask(self, command: Command) -> Any:
        """Raises."""
        raise Unreachable("no server is configured")

    def close(self) -> None:
        """Nothing is open."""


def connect(client: Client | None, budget_s: float, connect_s: float = CONNECT_S) -> Transport:
    """The transport for a client; seconds to wait for replies, and for a new connection."""
    if client is None:
        return NoWire()
    if isinstance(client, redis.RedisCluster):
        return ClusterWire(client, budget_s, connect_s)
    return Wire(client, budget_s, connect_s)

"""Connections to one server, used directly: packed commands out, as many replies in.

A redis-py client connects (address, TLS, password, database, Sentinel); its connections are then
driven without the client's layers of retries, callbacks and metrics, which cost more time than
the server does. A reply that comes later than the budget is awaited by nobody: it is read when
the connection is used next, so that slowness does not cost a new connection, and what it says was
charged is given back.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import (
    NoScriptError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as TooLate
from redis.retry import Retry

from ratelimit.scripts import Command

Replies = list[Any]
AWAY = (RedisError, RedisClusterException, OSError)
"""What a server that cannot be asked looks like."""
PORTION = 200
"""Commands sent at once; more of them take several round trips, each with its own budget."""
Late = Callable[[Command, Any, int], None]
"""Told of a command, its reply that came too late, and how many microseconds ago it was sent."""
_MOST_OWED = 2 * PORTION  # late replies; a connection that owes more is closed
_US = 1_000_000


class Unreachable(Disconnected):
    """No connection could be made at all: nothing was sent."""


class Busy(TooLate):
    """So many ask at once that this one was not sent; the server has no part in it."""


@contextmanager
def partly(*, done: bool) -> Iterator[None]:
    """Within: not to connect is no sign any more that nothing was sent, if some of it was done."""
    try:
        yield
    except (Unreachable, Busy) as error:
        if done:
            raise Disconnected(str(error)) from error
        raise


def without_errors(replies: Replies) -> Replies:
    """The replies. Raises the first error among them."""
    for reply in replies:
        if isinstance(reply, ResponseError):
            raise reply
    return replies


def is_spoilt(error: BaseException) -> bool:
    """Whether what lies under a bucket's key is of another's making: the server is well."""
    told = str(error)
    return type(error) is ResponseError and ("WRONGTYPE" in told or "attempt to" in told)


class Line:
    """One connection, and the replies it still owes to callers that gave up."""

    __slots__ = ("_given_up", "_heard", "_read", "_send", "_sent_at", "connection", "owed")

    def __init__(self, connection: Any, budget_s: float, heard: Late) -> None:
        connection.update_current_socket_timeout(budget_s)
        self.connection = connection
        self.owed = 0
        self._given_up: deque[tuple[Command, float]] = deque()
        self._heard = heard
        self._sent_at = 0.0
        self._send = connection.send_packed_command
        self._read: Callable[..., Any] = connection.read_response

    def exchange(self, packed: bytes, count: int) -> Replies:
        """Send, and read `count` replies; an error reply is a value among them."""
        self._sent_at = time.monotonic()
        self._send((packed,), False)
        self.owed += count
        if self.owed > count:
            self._catch_up(count)
        return [self._reply() for _ in range(count)]

    def ask(self, packed: bytes) -> Any:
        """`exchange` for one command."""
        self._sent_at = time.monotonic()
        self._send((packed,), False)
        self.owed += 1
        if self.owed > 1:
            self._catch_up(1)
        return self._reply()

    def give_up(self, commands: Sequence[Command]) -> None:
        """Remember whose replies are still to come, of those just sent."""
        unread = min(self.owed, len(commands))
        for command in commands[len(commands) - unread :]:
            self._given_up.append((command, self._sent_at))

    def _catch_up(self, count: int) -> None:
        """Read what came too late, up to the last `count` replies."""
        while self.owed > count:
            reply = self._reply()
            command, sent_at = self._given_up.popleft()
            self._heard(command, reply, int((time.monotonic() - sent_at) * _US))

    def _reply(self) -> Any:
        try:
            reply = self._read(True, disconnect_on_error=False)
        except ResponseError as error:
            reply = error
        self.owed -= 1
        return reply


class Wire:
    """All connections of one process to one server. Threads share them, forks do not.

    They are made as the client's pool makes them, but without its retries: the caller waits.
    """

    def __init__(self, client: redis.Redis, budget_s: float, connect_s: float, heard: Late) -> None:
        self._budget_s = budget_s
        self._heard = heard
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
        """See `ratelimit.wire.Transport`."""
        reply = self._with_line((command,), Line.ask, command.packed)
        if isinstance(reply, NoScriptError):
            return self.run((command,))[0]
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    def run(self, commands: Sequence[Command]) -> Replies:
        """See `ratelimit.wire.Transport`."""
        return without_errors(self.replies(commands))

    def replies(self, commands: Sequence[Command]) -> Replies:
        """`run` with error replies as values."""
        replies: Replies = []
        for start in range(0, len(commands), PORTION):
            with partly(done=bool(replies)):
                replies += self._portion(commands[start : start + PORTION])
        return replies

    def _portion(self, commands: Sequence[Command]) -> Replies:
        packed = b"".join([command.packed for command in commands])
        once = any(command.once for command in commands)
        replies = self._with_line(commands, Line.exchange, packed, len(commands), once=once)
        lost = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if lost:
            some = [commands[i] for i in lost]
            packed = b"".join([command.packed_whole() for command in some])
            again = self._with_line(some, Line.exchange, packed, len(lost), once=once)
            for i, reply in zip(lost, again, strict=True):
                replies[i] = reply
        return list(replies)

    def warm(self, patience_s: float) -> None:
        """See `ratelimit.wire.Transport`."""
        if not self._idle or self._pid != os.getpid():
            line = self._connect(
                {"socket_timeout": patience_s, "socket_connect_timeout": patience_s}
            )
            self._lend_none_of_others()
            self._idle.append(line)

    def close(self) -> None:
        """See `ratelimit.wire.Transport`."""
        while self._idle:
            self._idle.pop().connection.disconnect()

    def _with_line(
        self, commands: Sequence[Command], use: Callable[..., Any], *what: Any, once: bool = False
    ) -> Any:
        line = self._lend()
        if line is not None:
            try:
                return self._use(line, commands, use, what)
            except Disconnected:
                # It was closed while idle, as by a restart, or in between: a new one is worth one
                # attempt, where doing it twice does no harm.
                if once:
                    raise
        return self._use(self._connect(), commands, use, what)

    def _use(
        self,
        line: Line,
        commands: Sequence[Command],
        use: Callable[..., Any],
        what: tuple[Any, ...],
    ) -> Any:
        try:
            replies = use(line, *what)
        except TooLate:
            if line.owed > _MOST_OWED or not line.connection.is_connected:
                line.connection.disconnect()
            else:
                line.give_up(commands)
                self._idle.append(line)
            raise
        except BaseException:
            line.connection.disconnect()
            raise
        self._idle.append(line)
        return replies

    def _lend(self) -> Line | None:
        self._lend_none_of_others()
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _lend_none_of_others(self) -> None:
        if self._pid != os.getpid():
            self._idle, self._pid = deque(), os.getpid()

    def _connect(self, options: Mapping[str, Any] = MappingProxyType({})) -> Line:
        connection = self._class(**{**self._options, **options})
        try:
            connection.connect()
        except (RedisError, OSError) as error:
            raise Unreachable(str(error)) from error
        return Line(connection, self._budget_s, self._heard)

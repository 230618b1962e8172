"""Connections to one server, used directly: packed commands out, as many replies in.

A redis-py client connects (address, TLS, password, database, Sentinel); its connections are then
driven without the client's layers of retries, callbacks and metrics, which cost more than the
server does. A reply that comes later than the budget is awaited by nobody and thrown away when
the connection is used next, so that slowness does not cost a new connection.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from typing import Any

import hiredis
import redis
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as TooLate

from ratelimit.scripts import Command

Replies = list[Any]
_MOST_OWED = 64  # late replies; a connection that owes more is closed


class Line:
    """One connection and the number of replies it still owes to callers that gave up."""

    __slots__ = ("connection", "owed")

    def __init__(self, connection: Any, budget_s: float) -> None:
        connection.update_current_socket_timeout(budget_s)
        self.connection = connection
        self.owed = 0

    def exchange(self, packed: bytes, count: int) -> Replies:
        """Send, and read `count` replies; an error reply is a value among them."""
        self.connection.send_packed_command((packed,), check_health=False)
        self.owed += count
        while self.owed > count:
            self._reply()
        return [self._reply() for _ in range(count)]

    def _reply(self) -> Any:
        try:
            reply = self.connection.read_response(disable_decoding=True, disconnect_on_error=False)
        except ResponseError as error:
            reply = error
        self.owed -= 1
        return reply


class Wire:
    """All connections of one process to one server. Threads share them, forks do not."""

    def __init__(self, client: redis.Redis, budget_s: float) -> None:
        self._pool = client.connection_pool
        self._budget_s = budget_s
        self._idle: deque[Line] = deque()
        self._pid = os.getpid()

    def run(self, commands: Sequence[Command]) -> Replies:
        """One round trip; a second one when the server has lost a script.

        Raises RedisError or OSError, also when one of the replies is an error.
        """
        replies = self._exchange(commands, whole=False)
        lost = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if lost:
            again = self._exchange([commands[i] for i in lost], whole=True)
            for i, reply in zip(lost, again, strict=True):
                replies[i] = reply
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        return replies

    def close(self) -> None:
        """Give the connections back to the client."""
        while self._idle:
            self._pool.release(self._idle.pop().connection)

    def _exchange(self, commands: Sequence[Command], *, whole: bool) -> Replies:
        packed = b"".join([hiredis.pack_command(c.words(whole=whole)) for c in commands])
        line = self._lend()
        if line is not None:
            try:
                return self._use(line, packed, len(commands))
            except Disconnected:
                pass  # it was closed while idle, as by a restart: a new one is worth one attempt
        return self._use(self._connect(), packed, len(commands))

    def _use(self, line: Line, packed: bytes, count: int) -> Replies:
        try:
            replies = line.exchange(packed, count)
        except TooLate:
            if line.owed > _MOST_OWED or not line.connection.is_connected:
                self._drop(line)
            else:
                self._idle.append(line)
            raise
        except BaseException:
            self._drop(line)
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
        return Line(self._pool.get_connection(), self._budget_s)

    def _drop(self, line: Line) -> None:
        line.connection.disconnect()
        self._pool.release(line.connection)

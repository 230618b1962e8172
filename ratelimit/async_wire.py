"""Connections for asyncio: what :mod:`ratelimit.wire` is for threads."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MaxConnectionsError,
    MovedError,
    NoScriptError,
    ResponseError,
)
from redis.exceptions import ConnectionError as Disconnected

from ratelimit.line import AWAY, PORTION, Busy, Replies, Unreachable, partly, without_errors
from ratelimit.scripts import Command
from ratelimit.wire import CONNECT_S

AT_ONCE = 16
"""Exchanges of one event loop that wait for replies; further ones queue. A loop that has more of
them to look after comes back to each later than its budget."""


_MOVED = (MovedError, AskError, ClusterDownError)


class AsyncTransport(Protocol):
    """What an asynchronous limiter asks."""

    async def run(self, commands: Sequence[Command]) -> Replies:
        """One round trip for every `PORTION` commands, and another where a script was lost.

        Raises one of `AWAY`, also when one of the replies is an error.
        """

    async def replies(self, commands: Sequence[Command]) -> Replies:
        """`run` with error replies as values."""


class _Portions(ABC):
    """What both have in common: portions, a budget for each, and a queue in front."""

    def __init__(self, budget_s: float, most: int) -> None:
        self._budget_s = budget_s
        self._patience_s = max(budget_s, CONNECT_S)
        self._places = asyncio.Semaphore(min(AT_ONCE, most))

    async def run(self, commands: Sequence[Command]) -> Replies:
        """See `AsyncTransport`."""
        return without_errors(await self.replies(commands))

    async def replies(self, commands: Sequence[Command]) -> Replies:
        """See `AsyncTransport`."""
        replies: Replies = []
        for start in range(0, len(commands), PORTION):
            some = commands[start : start + PORTION]
            with partly(done=bool(replies)):
                async with self._place():
                    replies += await self._portion(some)
        return replies

    async def _portion(self, commands: Sequence[Command]) -> Replies:
        replies = await self._exchange(commands)
        lost = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if lost:
            again = await self._exchange([commands[i] for i in lost], whole=True)
            for i, reply in zip(lost, again, strict=True):
                replies[i] = reply
        return replies

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """A place among those who ask, for which one waits as long as for a connection."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._places.acquire()
        except TimeoutError as error:
            raise Busy("too many decisions at once") from error
        try:
            yield
        finally:
            self._places.release()

    @abstractmethod
    async def _exchange(self, commands: Sequence[Command], *, whole: bool = False) -> Replies:
        """One reply for each of a portion's commands, at their places."""

    async def _over(self, connection: Any, commands: Sequence[Command], *, whole: bool) -> Replies:
        """Over one connection, which is closed when a reply may still be on its way."""
        packed = [command.packed_whole() if whole else command.packed for command in commands]
        try:
            async with asyncio.timeout(self._budget_s):
                await connection.send_packed_command(b"".join(packed), check_health=False)
                return [await _reply(connection) for _ in commands]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise


class AsyncWire(_Portions):
    """The client's connections to one server; the budget counts once there is a connection."""

    def __init__(self, client: Redis, budget_s: float) -> None:
        super().__init__(budget_s, client.connection_pool.max_connections)
        self._pool: Any = client.connection_pool

    async def _exchange(self, commands: Sequence[Command], *, whole: bool = False) -> Replies:
        with _connecting():
            connection = await self._pool.get_connection()
        try:
            return await self._over(connection, commands, whole=whole)
        finally:
            await self._pool.release(connection)


class AsyncClusterWire(_Portions):
    """A cluster's client, which knows the node of each key: one round trip to each of them."""

    def __init__(self, client: RedisCluster, budget_s: float) -> None:
        super().__init__(budget_s, AT_ONCE)
        self._client = client

    async def _exchange(self, commands: Sequence[Command], *, whole: bool = False) -> Replies:
        with _connecting():
            async with asyncio.timeout(self._patience_s):
                await self._client.initialize()
        by_node: dict[Any, list[int]] = {}
        for i, command in enumerate(commands):
            by_node.setdefault(self._client.get_node_from_key(command.keys[0]), []).append(i)
        replies: Replies = [None] * len(commands)
        asked = [
            self._node(node, [commands[i] for i in places], whole=whole)
            for node, places in by_node.items()
        ]
        for places, found in zip(by_node.values(), await asyncio.gather(*asked), strict=True):
            for i, reply in zip(places, found, strict=True):
                replies[i] = reply
        return replies

    async def _node(self, node: Any, commands: Sequence[Command], *, whole: bool) -> Replies:
        with _connecting():
            connection = node.acquire_connection()
        try:
            with _connecting():
                async with asyncio.timeout(self._patience_s):
                    await connection.connect()  # if it is not
            replies = await self._over(connection, commands, whole=whole)
        except Disconnected:
            await self._client.aclose()  # the next to ask reads the map anew
            raise
        finally:
            node.release(connection)
        for i, reply in enumerate(replies):
            if isinstance(reply, _MOVED):
                replies[i] = await self._again(commands[i], whole=whole)
        return replies

    async def _again(self, command: Command, *, whole: bool) -> Any:
        """By the client's own means, which follow slots that have moved."""
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._client.execute_command(*command.words(whole=whole))
        except ResponseError as error:
            return error


@contextmanager
def _connecting() -> Iterator[None]:
    """Within: whatever fails, nothing was sent."""
    try:
        yield
    except MaxConnectionsError as error:
        raise Busy("others use all connections of this client") from error
    except AWAY as error:
        raise Unreachable(str(error)) from error


async def _reply(connection: Any) -> Any:
    try:
        return await connection.read_response(disable_decoding=True, disconnect_on_error=False)
    except ResponseError as error:
        return error


def connect(client: Redis | RedisCluster, budget_s: float) -> AsyncTransport:
    """The transport for a client."""
    if isinstance(client, RedisCluster):
        return AsyncClusterWire(client, budget_s)
    return AsyncWire(client, budget_s)

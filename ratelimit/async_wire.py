"""Connections for asyncio: what :mod:`ratelimit.wire` is for threads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import NoScriptError, RedisError, ResponseError

from ratelimit.scripts import Command
from ratelimit.wire import PORTION, Replies, Unreachable


class AsyncTransport(Protocol):
    """What an asynchronous limiter asks."""

    async def run(self, commands: Sequence[Command]) -> Replies:
        """One round trip, and another where a script was lost. Raises RedisError or OSError."""


class AsyncWire:
    """The client's connections to one server; the budget counts once there is a connection."""

    def __init__(self, client: Redis, budget_s: float) -> None:
        self._pool: Any = client.connection_pool
        self._budget_s = budget_s

    async def run(self, commands: Sequence[Command]) -> Replies:
        """See `AsyncTransport`."""
        replies: Replies = []
        for start in range(0, len(commands), PORTION):
            replies += await self._portion(commands[start : start + PORTION])
        return replies

    async def _portion(self, commands: Sequence[Command]) -> Replies:
        replies = await self._exchange([command.packed for command in commands])
        lost = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if lost:
            again = await self._exchange([commands[i].packed_whole() for i in lost])
            for i, reply in zip(lost, again, strict=True):
                replies[i] = reply
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        return replies

    async def _exchange(self, packed: list[bytes]) -> Replies:
        if not packed:
            return []
        try:
            connection = await self._pool.get_connection()
        except (RedisError, OSError) as error:
            raise Unreachable(str(error)) from error
        try:
            async with asyncio.timeout(self._budget_s):
                await connection.send_packed_command(b"".join(packed), check_health=False)
                return [await _reply(connection) for _ in packed]
        except BaseException:
            await connection.disconnect(nowait=True)  # a reply may still be on its way
            raise
        finally:
            await self._pool.release(connection)


class AsyncClusterWire:
    """A cluster's client, which finds the node of each command's key."""

    def __init__(self, client: RedisCluster, budget_s: float) -> None:
        self._client = client
        self._budget_s = budget_s

    async def run(self, commands: Sequence[Command]) -> Replies:
        """See `AsyncTransport`."""
        await self._client.initialize()
        async with asyncio.timeout(self._budget_s):
            return [await self._one(command) for command in commands]

    async def _one(self, command: Command) -> Any:
        try:
            return await self._client.execute_command(*command.words())
        except NoScriptError:
            return await self._client.execute_command(*command.words(whole=True))


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

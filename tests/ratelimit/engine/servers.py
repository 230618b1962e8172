"""Servers and limiters for the engine's tests: one Valkey or a cluster, threads or asyncio."""

from __future__ import annotations

import asyncio
import time
import uuid

import redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio import RedisCluster as AsyncRedisCluster

from ansf_platform.services.ports import LOOPBACK, free_port, is_free
from ratelimit.asynchronous import AsyncLimiter
from ratelimit.buckets import Bucket
from ratelimit.keys import Keys
from ratelimit.limiter import Limiter
from ratelimit.quota import Quota
from ratelimit.scripts import Scripts
from tests.services_fixtures import ChosenValkey

PATIENT_S = 10.0  # where the budget is not what a test is about, a busy machine may be slow
CLOCK = "the-tests-clock"  # "seconds microseconds", read in place of TIME

TEST_BUILD = Scripts.build(
    f"""
local function now_us()
  local time = redis.call('HMGET', '{CLOCK}', 's', 'us')
  return time[1] * 1000000 + time[2]
end
local function keep(key, now, whole, part, ratio)
  redis.call('SET', key, string.format('%.0f:%.0f:%s', whole, part, ratio))
end
"""
)


_made = []


def made(client):
    """A client that is closed after the test."""
    _made.append(client)
    return client


def close_clients():
    while _made:
        _made.pop().close()


BUS = 10_000
"""Above a node's port lies that of the bus between the nodes."""
HIGHEST = 32_767
"""The ports above are given to outgoing connections: one of them may be taken at any moment."""


def port_with_bus():
    """A free port whose bus has a free one too."""
    return next(
        port for port in iter(free_port, None) if port + BUS <= HIGHEST and is_free(port + BUS)
    )


class ClusterNode(ChosenValkey):
    """A Valkey that waits to be told its part of a cluster."""

    def __init__(self):
        super().__init__(port=port_with_bus())

    def prepare(self):
        super().prepare()
        with self._configuration_path().open("a") as configuration:
            configuration.write("cluster-enabled yes\ncluster-node-timeout 2000\n")


class Cluster:
    """Three nodes with a third of the slots each."""

    def __init__(self, start):
        self.nodes = [start(ClusterNode()) for _ in range(3)]
        clients = [redis.Redis.from_url(node.url) for node in self.nodes]
        edges = [0, 5461, 10923, 16384]
        for i, client in enumerate(clients):
            client.execute_command("CLUSTER", "ADDSLOTS", *range(edges[i], edges[i + 1]))
            client.execute_command("CLUSTER", "MEET", LOOPBACK, self.nodes[0].port)
        until(lambda: all(_agrees(client) for client in clients), 20.0)
        for client in clients:
            client.close()

    def client(self):
        return made(redis.RedisCluster(host=LOOPBACK, port=self.nodes[0].port))

    def async_client(self):
        return AsyncRedisCluster(host=LOOPBACK, port=self.nodes[0].port)


class Single:
    """One server."""

    def __init__(self, valkey):
        self.valkey = valkey

    def client(self):
        return made(redis.Redis.from_url(self.valkey.url))

    def async_client(self):
        return AsyncRedis.from_url(self.valkey.url)


def _agrees(client):
    facts = client.execute_command("CLUSTER", "INFO").decode()
    return "cluster_state:ok" in facts and "cluster_known_nodes:3" in facts


class Awaited:
    """An `AsyncLimiter` as if it were a `Limiter`, on an event loop of its own."""

    def __init__(self, make):
        self._runner = asyncio.Runner()
        self._runner.run(self._make(make))

    async def _make(self, make):
        self._limiter = make()

    def __getattr__(self, name):
        found = getattr(self._limiter, name)
        if not callable(found) or name == "slot":
            return self._slot if name == "slot" else found
        return lambda *args, **named: self._runner.run(found(*args, **named))

    def _slot(self, *args, **named):
        slot = self._limiter.slot(*args, **named)
        run = self._runner.run

        class Entered:
            def __enter__(self):
                run(slot.__aenter__())
                return slot

            def __exit__(self, *error):
                run(slot.__aexit__(*error))

        return Entered()

    def close(self):
        self._runner.run(self._limiter.close())
        self._runner.close()


def make_limiter(server, *, is_async, **options):
    options = {"budget_s": PATIENT_S, "keys": Keys(unique()), **options}
    if is_async:
        return Awaited(lambda: AsyncLimiter(server.async_client(), **options))
    return Limiter(server.client(), connect_s=PATIENT_S, **options)


def unique():
    return f"test:{uuid.uuid4().hex}"


def bucket(name="api", *, limit=1, seconds=3600.0, burst=5, **options):
    """By default so slow that it does not refill while a test runs."""
    options = {"key": "tenant:1", **options}
    return Bucket(name, quota=Quota.per_second(limit, burst, seconds), **options)


def until(condition, deadline_s=10.0):
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "the condition was not met in time"
        time.sleep(0.005)

"""Many at once on one event loop, and clusters that are gone: each decision ends in time."""

from __future__ import annotations

import asyncio
import time

import pytest
import redis
from redis.asyncio import Redis as AsyncRedis

from ansf_platform.services.ports import LOOPBACK
from ratelimit.asynchronous import AsyncLimiter
from ratelimit.keys import Keys
from ratelimit.line import Busy
from ratelimit.wire import CONNECT_S
from tests.ratelimit.engine.servers import (
    PATIENT_S,
    ClusterNode,
    bucket,
    make_limiter,
    unique,
    until,
)
from tests.services_fixtures import _enter

pytestmark = pytest.mark.valkey


@pytest.mark.parametrize("connections", [None, 5])
def test_hundreds_of_decisions_at_once_are_all_made_by_redis(single, connections):
    async def scenario():
        client = AsyncRedis.from_url(single.valkey.url, max_connections=connections)
        limiter = AsyncLimiter(client, keys=Keys(unique()), budget_s=PATIENT_S)
        api = bucket(burst=250)
        decisions = await asyncio.gather(*(limiter.acquire([api]) for _ in range(400)))
        await limiter.close()
        return decisions

    decisions = asyncio.run(scenario())

    assert not any(decision.degraded for decision in decisions)
    assert sum(decision.allowed for decision in decisions) == 250


def test_who_finds_no_place_in_time_decides_alone_and_blames_nobody(single):
    async def scenario():
        limiter = AsyncLimiter(single.async_client(), keys=Keys(unique()))
        for _ in range(16):
            await limiter._wire._places.acquire()
        begun = time.monotonic()
        decisions = [await limiter.acquire([bucket(burst=100)]) for _ in range(4)]
        assert not await limiter.refund([bucket(burst=100)], 1)
        took_s, failures = time.monotonic() - begun, limiter.breaker.failures
        owed = limiter.alone.debts()
        await limiter.close()
        return decisions, took_s, failures, owed

    decisions, took_s, failures, owed = asyncio.run(scenario())

    assert all(decision.degraded and decision.allowed for decision in decisions)
    assert failures == 0
    assert took_s >= 5 * CONNECT_S
    assert [units for _, units in owed] == [3]  # the refund was never sent, so it is owed as well


def test_being_busy_after_a_part_was_done_is_no_sign_that_nothing_was_sent(single, monkeypatch):
    async def scenario():
        limiter = AsyncLimiter(single.async_client(), keys=Keys(unique()), budget_s=PATIENT_S)
        monkeypatch.setattr("ratelimit.async_wire.PORTION", 1)
        portion, sent = limiter._wire._portion, []

        async def once(commands):
            if sent:
                raise Busy("no place")
            sent.append(commands)
            return await portion(commands)

        limiter._wire._portion = once
        one, two = bucket("one"), bucket("two")
        assert not await limiter.refund([one, two], 1)
        owed = limiter.alone.debts()
        await limiter.close()
        return owed

    assert asyncio.run(scenario()) == []


class Lone:
    """A cluster of one node."""

    def __init__(self, node):
        self.node = node
        with redis.Redis.from_url(node.url) as client:
            client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))

            def is_up():
                return "cluster_state:ok" in client.execute_command("CLUSTER", "INFO").decode()

            until(is_up)

    def client(self):
        return redis.RedisCluster(host=LOOPBACK, port=self.node.port)

    def async_client(self):
        return redis.asyncio.RedisCluster(host=LOOPBACK, port=self.node.port)


@pytest.fixture
def lone(_test_servers):
    return Lone(_enter(_test_servers, ClusterNode()))


@pytest.mark.fault
@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "asyncio"])
def test_a_cluster_that_is_gone_is_done_without_and_taken_up_again(lone, is_async):
    limiter = make_limiter(lone, is_async=is_async, probe_every_s=0.05)
    api, places = bucket(burst=800), bucket("places", limit=80, unit="concurrency")
    assert not limiter.acquire([api]).degraded

    lone.node.kill()
    begun = time.monotonic()
    decisions = [limiter.acquire([api]) for _ in range(20)]
    with limiter.slot([places]) as slot:
        assert slot.decision.degraded
    assert limiter.take_many([(api, 2)])[0].degraded
    assert not limiter.refund([api], 1)
    took_s = time.monotonic() - begun

    assert all(decision.degraded for decision in decisions)
    assert limiter.degraded
    assert took_s < PATIENT_S / 2
    lone.node.start()

    def is_back():
        return not limiter.peek([api]).degraded and not limiter.alone.owing

    until(is_back)
    assert limiter.acquire([api]).remaining > 700
    limiter.close()

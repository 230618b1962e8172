"""Time slots and places: who comes first is served first, who leaves early gives back."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from ratelimit.asynchronous import AsyncLimiter
from ratelimit.keys import Keys
from ratelimit.limiter import Limiter
from ratelimit.scripts import PRODUCTION
from tests.architecture.sources import ROOT
from tests.ratelimit.engine.servers import PATIENT_S, TEST_BUILD, bucket, unique, until
from tests.ratelimit.engine.test_reference import TestClock

pytestmark = pytest.mark.valkey

HOLDER = """
import sys, time, redis
from ratelimit.keys import Keys
from ratelimit.limiter import Limiter
from tests.ratelimit.engine.servers import bucket
url, prefix = sys.argv[1:]
limiter = Limiter(redis.Redis.from_url(url), keys=Keys(prefix), budget_s=10.0, connect_s=10.0)
places = bucket("places", limit=1, unit="concurrency")
with limiter.slot([places], life_s=0.5) as slot:
    print(slot.allowed, flush=True)
    time.sleep(60)
"""


def test_slots_are_given_in_the_order_of_asking(single, monkeypatch):
    client = single.client()
    clock = TestClock(client)
    limiter = Limiter(client, keys=Keys(unique()), scripts=TEST_BUILD, budget_s=PATIENT_S)
    api, slept = bucket(limit=5, seconds=1.0, burst=2), []
    monkeypatch.setattr("ratelimit.limiter.time.sleep", slept.append)

    waits = [limiter.acquire([api], wait=0.65).wait for _ in range(6)]
    clock.advance(200_000)
    waits.append(limiter.acquire([api], wait=0.65).wait)
    limiter.close()

    assert waits == [0.0, 0.0, 0.2, 0.4, 0.6, 0.0, 0.6]
    assert slept == [0.2, 0.4, 0.6, 0.6]


def test_whoever_does_not_wait_stands_behind_those_who_do(limiter):
    api = bucket(limit=10, seconds=1.0, burst=2)
    limiter.acquire([api], 2)

    limiter.acquire([api], wait=1.0)

    assert limiter.peek([api]).remaining <= 0


def test_without_redis_a_wait_asks_again_while_there_is_time(monkeypatch):
    limiter = Limiter(None, workers=1)
    now_us, slept = [10**12], []
    limiter.alone._now_us = lambda: now_us[0]

    def sleep(seconds):
        slept.append(seconds)
        now_us[0] += round(seconds * 1_000_000)

    monkeypatch.setattr("ratelimit.limiter.time.sleep", sleep)
    api = bucket(limit=2, seconds=1.0, burst=1)
    denying = bucket("denying", without_redis="deny")

    waited = [limiter.acquire([api], wait=0.6) for _ in range(3)]
    late = limiter.acquire([api], wait=0.4)
    denied = limiter.acquire([denying], wait=2.5)

    assert [decision.allowed for decision in waited] == [True, True, True]
    assert slept == [0.5, 0.5, 1.0, 1.0]
    assert (late.allowed, late.retry_after) == (False, 0.5)
    assert not denied.allowed


def test_an_interrupted_wait_gives_its_slot_back(single, monkeypatch):
    limiter = Limiter(single.client(), keys=Keys(unique()), budget_s=PATIENT_S)
    api = bucket(limit=1, seconds=10.0, burst=3)
    limiter.acquire([api], 3)

    def interrupted(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr("ratelimit.limiter.time.sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        limiter.acquire([api], wait=60.0)

    assert limiter.peek([api]).remaining == 0
    limiter.close()


def test_a_cancelled_wait_gives_its_slot_back(single):
    async def scenario():
        limiter = AsyncLimiter(single.async_client(), keys=Keys(unique()), budget_s=PATIENT_S)
        api = bucket(limit=1, seconds=10.0, burst=3)
        await limiter.acquire([api], 3)
        waiting = asyncio.create_task(limiter.acquire([api], wait=60.0))
        while (await limiter.peek([api])).remaining == 0:  # noqa: ASYNC110 - Redis tells no event
            await asyncio.sleep(0)

        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        remaining = (await limiter.peek([api])).remaining
        await limiter.close()
        return remaining

    assert asyncio.run(scenario()) == 0


def test_waiting_for_a_place_ends_when_one_is_left(limiter):
    places = bucket("places", limit=1, unit="concurrency")
    got = []

    def wait():
        with limiter.slot([places], wait=10.0) as slot:
            got.append(slot.allowed)

    with limiter.slot([places]):
        thread = threading.Thread(target=wait)
        thread.start()
        assert not got
    thread.join()

    assert got == [True]


def test_a_place_outlives_its_life_as_long_as_its_holder_beats(limiter):
    places = bucket("places", limit=1, unit="concurrency")

    with limiter.slot([places], life_s=0.5) as slot:
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            assert limiter.peek_many([places])[0].remaining == 0
            time.sleep(0.01)

    assert slot.allowed
    assert limiter.peek_many([places])[0].remaining == 1


@pytest.mark.fault
def test_the_place_of_a_killed_holder_becomes_free(single):
    prefix = unique()
    limiter = Limiter(single.client(), keys=Keys(prefix), budget_s=PATIENT_S)
    places = bucket("places", limit=1, unit="concurrency")
    holder = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            HOLDER,
            *(single.valkey.url, prefix),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "True\n"
    with limiter.slot([places]) as refused:
        assert not refused.allowed

    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    with limiter.slot([places], wait=10.0) as slot:
        assert slot.allowed
    limiter.close()


def test_an_unpunctual_holder_is_entered_again_and_told(single):
    limiter = Limiter(single.client(), keys=Keys(unique()), budget_s=PATIENT_S)
    places = bucket("places", limit=1, unit="concurrency")
    with limiter.slot([places], life_s=60.0) as slot:
        limiter.reset([places])  # as FLUSHALL does

        punctual = limiter._drive(slot._plan.beat())

        assert not punctual
        assert limiter.peek_many([places])[0].remaining == 0
        assert limiter._drive(slot._plan.beat())
    limiter.close()


def test_a_level_lives_as_long_as_it_says_something(single, limiter):
    client = single.client()
    brief, long = (
        bucket("brief", limit=1_000, seconds=1.0),
        bucket("long", limit=1, seconds=86_400.0),
    )

    limiter.acquire([brief, long], 5)
    of_long = client.pttl(limiter._calls.keys.of("level", long))

    assert 5 * 86_400_000 - 10_000 < of_long <= 5 * 86_400_000 + 1
    until(lambda: not client.exists(limiter._calls.keys.of("level", brief)))


def test_scripts_keep_their_numbers_out_of_lua_s_short_format():
    for script in (PRODUCTION.acquire, PRODUCTION.take, PRODUCTION.adjust, PRODUCTION.slot):
        assert "tostring" not in script.text

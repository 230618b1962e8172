"""Holders and their beats: each is there as long as it is, and no longer."""

from __future__ import annotations

import asyncio
import threading

import pytest

from ratelimit.asynchronous import AsyncLimiter
from ratelimit.keys import Keys
from ratelimit.limiter import Limiter
from ratelimit.plans import Ask
from ratelimit.slots import life_of
from tests.ratelimit.engine.servers import PATIENT_S, bucket, unique, until

pytestmark = pytest.mark.valkey

PLACES = bucket("places", limit=2, seconds=30.0, unit="concurrency")


def free(limiter):
    return limiter.peek_many([PLACES])[0].remaining


def test_a_short_life_ends_no_long_one(single, limiter):
    client = single.client()
    with limiter.slot([PLACES], life_s=600.0), limiter.slot([PLACES], life_s=1.0):
        kept_ms = client.pttl(limiter._calls.keys.of("slots", PLACES))

    assert kept_ms > 500_000


def test_a_crashed_holder_keeps_its_place_for_the_shortest_period_of_its_buckets(single, limiter):
    longer = bucket("longer", limit=5, seconds=90.0, unit="concurrency")

    with limiter.slot([PLACES, longer]):
        kept_ms = single.client().pttl(limiter._calls.keys.of("slots", PLACES))

    assert 29_000 < kept_ms <= 30_001
    assert life_of([bucket(seconds=0.001)]) == 1.0


def test_a_beat_that_comes_after_its_holder_left_does_not_bring_it_back(limiter):
    with limiter.slot([PLACES]) as slot:
        beat = slot._plan.beat()
        asked = next(beat)
    assert isinstance(asked, Ask)
    limiter._wire.run(asked.commands)  # it was on its way
    assert free(limiter) == 1

    with pytest.raises(StopIteration):
        beat.send(limiter._ask(beat.send([[1, 1, 1]])))

    assert free(limiter) == 2
    assert limiter._drive(slot._plan.beat()) is False
    assert free(limiter) == 2


def test_an_awaited_holder_leaves_after_its_beat(single):
    async def scenario():
        limiter = AsyncLimiter(single.async_client(), keys=Keys(unique()), budget_s=PATIENT_S)
        under_way, goes_on, asked = asyncio.Event(), asyncio.Event(), []
        ask = limiter._ask

        async def slow(step):
            asked.append(step.commands[0].args[0])
            if asked[-1] == "beat":
                under_way.set()
                await goes_on.wait()
            return await ask(step)

        limiter._ask = slow
        async with limiter.slot([PLACES], life_s=0.03):
            await under_way.wait()
            asyncio.get_running_loop().call_soon(goes_on.set)
        remaining = (await limiter.peek_many([PLACES]))[0].remaining
        await limiter.close()
        return remaining, asked

    remaining, asked = asyncio.run(scenario())

    assert remaining == 2
    assert asked[-2] == "leave"


def test_a_beat_that_fails_is_followed_by_others(single, caplog):
    limiter = Limiter(single.client(), keys=Keys(unique()), budget_s=PATIENT_S)
    drive, beats = limiter._heartbeat._drive, []

    def failing(plan):
        beats.append(plan)
        if len(beats) == 1:
            raise ZeroDivisionError
        return drive(plan)

    limiter._heartbeat._drive = failing
    with limiter.slot([PLACES], life_s=0.06):
        until(lambda: len(beats) > 3)
        assert free(limiter) == 1
    limiter.close()


def test_a_limiter_that_was_closed_keeps_later_holders_alive_too(single):
    limiter = Limiter(single.client(), keys=Keys(unique()), budget_s=PATIENT_S)
    limiter._heartbeat.stop()  # there was no thread yet
    beats, heartbeat = threading.Semaphore(0), limiter._heartbeat
    drive = heartbeat._drive
    heartbeat._drive = lambda plan: (beats.release(), drive(plan))

    for _ in range(2):
        with limiter.slot([PLACES], life_s=0.03):
            assert beats.acquire(timeout=5)
            assert beats.acquire(timeout=5)
        heartbeat.stop()
    limiter.close()

"""Scripts and data lost, Valkey killed and frozen in the middle of traffic."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter

import pytest

from ratelimit.buckets import Bucket
from ratelimit.keys import Keys
from ratelimit.limiter import Limiter
from ratelimit.quota import Quota
from tests.ratelimit.engine.servers import PATIENT_S, Single, bucket, unique, until

pytestmark = [pytest.mark.valkey, pytest.mark.fault]

LIMIT, BURST, WORKERS, THREADS = 400, 100, 4, 2
QUOTA = Quota.per_second(LIMIT, BURST)


class Traffic:
    """Threads of several limiters, each standing for a process, that ask without a pause."""

    def __init__(self, server, budget_s=PATIENT_S):
        self.limiters = [
            Limiter(server.client(), keys=Keys("traffic"), workers=WORKERS,
                    budget_s=budget_s, probe_every_s=0.1)
            for _ in range(WORKERS)
        ]  # fmt: skip
        self.bucket = Bucket("traffic", "k", QUOTA)
        self.seen = Counter()
        self.longest_s = 0.0
        self.errors = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(limiter,))
            for limiter in self.limiters
            for _ in range(THREADS)
        ]

    def _run(self, limiter):
        while not self._stop.wait(0.002):
            begun = time.monotonic()
            try:
                decision = limiter.acquire([self.bucket])
            except BaseException as error:  # noqa: BLE001 - whatever reaches a caller is counted
                self.errors.append(error)
                return
            self.longest_s = max(self.longest_s, time.monotonic() - begun)
            self.seen[decision.degraded, decision.allowed] += 1

    def __enter__(self):
        self.begun = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.elapsed_s = time.monotonic() - self.begun
        for limiter in self.limiters:
            limiter.close()

    @property
    def admitted(self):
        return self.seen[False, True] + self.seen[True, True]

    def told(self, what):
        sys.stdout.write(
            f"\n{what}: {self.elapsed_s:.2f} s, {sum(self.seen.values())} requests, "
            f"{self.seen[False, True]} admitted by Redis, {self.seen[True, True]} without, "
            f"bound without faults {BURST + LIMIT * self.elapsed_s:.0f}, "
            f"longest decision {self.longest_s * 1000:.0f} ms, {len(self.errors)} exceptions\n"
        )


def asked(traffic, more):
    """Wait until so many more decisions were made, degraded or not."""
    before = Counter(traffic.seen)

    def enough():
        return all(traffic.seen[key] >= before[key] + count for key, count in more.items())

    return until(enough)


EXACT, LOCAL = {(False, True): 50}, {(True, True): 10}


def test_a_flushed_script_is_sent_again_in_the_middle_of_traffic(fresh_valkey):
    server = Single(fresh_valkey())
    client = server.client()

    with Traffic(server) as traffic:
        for _ in range(5):
            asked(traffic, {(False, True): 20})
            client.script_flush()

    traffic.told("SCRIPT FLUSH × 5")
    assert not traffic.errors
    assert traffic.seen[True, True] == traffic.seen[True, False] == 0
    assert traffic.admitted <= BURST + LIMIT * traffic.elapsed_s


def test_a_script_lost_within_a_pipeline_is_sent_again_for_those_it_failed(single, limiter):
    one, two = bucket("one", burst=9), bucket("two", burst=9)
    single.client().script_flush()

    decisions = limiter.acquire_many([([one], 1), ([two], 2), ([one, two], 1)])

    assert [d.remaining for d in decisions] == [8, 7, 6]
    assert not any(d.degraded for d in decisions)


def test_flushed_data_costs_at_most_another_burst(fresh_valkey):
    server = Single(fresh_valkey())
    client = server.client()

    with Traffic(server) as traffic:
        asked(traffic, {(False, True): BURST + 50})
        client.flushall()
        asked(traffic, {(False, True): BURST + 50})

    traffic.told("FLUSHALL")
    assert not traffic.errors
    assert traffic.seen[True, True] == 0
    assert traffic.admitted <= 2 * BURST + LIMIT * traffic.elapsed_s


def test_a_killed_server_is_done_without_and_taken_up_again(fresh_valkey):
    valkey = fresh_valkey()

    with Traffic(Single(valkey)) as traffic:
        asked(traffic, EXACT)
        valkey.kill()
        asked(traffic, LOCAL)
        valkey.start()
        asked(traffic, EXACT)
        until(lambda: not any(limiter.alone.owing for limiter in traffic.limiters))

    traffic.told("SIGKILL")
    assert not traffic.errors
    # One burst before, one in the shares, one in the empty memory of the server that came back.
    assert traffic.admitted <= 3 * BURST + LIMIT * traffic.elapsed_s


def test_a_frozen_server_delays_a_bounded_number_of_decisions(fresh_valkey):
    valkey = fresh_valkey()

    with Traffic(Single(valkey), budget_s=0.05) as traffic:
        asked(traffic, EXACT)
        valkey.pause()
        until(lambda: all(limiter.degraded for limiter in traffic.limiters))
        asked(traffic, LOCAL)
        valkey.resume()
        asked(traffic, EXACT)

    traffic.told("SIGSTOP")
    assert not traffic.errors
    # Requests that Redis answered too late were charged and not admitted, never the reverse.
    assert traffic.admitted <= 2 * BURST + LIMIT * traffic.elapsed_s


def test_while_the_breaker_is_open_nobody_waits_for_redis(fresh_valkey):
    valkey = fresh_valkey()
    limiter = Limiter(
        Single(valkey).client(), keys=Keys(unique()), budget_s=0.05, connect_s=PATIENT_S
    )
    api = bucket(limit=1_000, burst=1_000_000)
    until(lambda: not limiter.acquire([api]).degraded)

    valkey.pause()
    waited = 0
    while not limiter.degraded:
        limiter.acquire([api])
        waited += 1
    asked_before = limiter.breaker.failures
    decisions = [limiter.acquire([api]) for _ in range(1_000)]
    limiter.close()
    valkey.resume()

    assert waited <= 3
    assert all(decision.degraded for decision in decisions)
    assert limiter.breaker.failures == asked_before


def test_a_late_reply_is_not_taken_for_the_next_one(fresh_valkey):
    valkey = fresh_valkey()
    limiter = Limiter(Single(valkey).client(), keys=Keys(unique()), budget_s=0.05, connect_s=5.0)
    one, two = bucket("one", burst=10), bucket("two", burst=1_000)
    limiter.acquire([two])

    valkey.pause()
    late = limiter.acquire([one])
    valkey.resume()
    until(lambda: not limiter.acquire([two]).degraded)
    found = limiter.acquire([two])

    assert late.degraded
    assert found.limit == two.quota.limit
    assert found.remaining > 900
    limiter.close()


def test_what_a_late_reply_says_was_charged_is_given_back(fresh_valkey):
    valkey = fresh_valkey()
    limiter = Limiter(Single(valkey).client(), keys=Keys(unique()), budget_s=0.05, connect_s=5.0)
    taken, charged = bucket("taken", burst=10), bucket("charged", burst=10)
    for each in (taken, charged):  # so slow that nothing refills
        assert limiter.acquire([each]).remaining == 9

    valkey.pause()
    grant, decision = limiter.take(taken, 5), limiter.acquire([charged], 4)
    valkey.resume()

    assert grant.degraded
    assert decision.degraded
    # What passed without Redis is charged once, what Redis granted to nobody not at all.
    expected = [9 - grant.granted, 9 - (4 if decision.allowed else 0)]
    until(lambda: [state.remaining for state in limiter.peek_many([taken, charged])] == expected)
    assert not limiter.degraded
    limiter.close()


def test_a_cluster_that_lost_its_map_is_read_anew(cluster):
    client = cluster.client()
    limiter = Limiter(client, keys=Keys(unique()), budget_s=PATIENT_S, connect_s=PATIENT_S)
    api = bucket(burst=5)
    slots = client.nodes_manager.slots_cache
    moved = {slot: slots[(slot + 8192) % 16384] for slot in slots}
    client.nodes_manager.slots_cache = moved  # every key is now asked of a wrong node

    decisions = [limiter.acquire([api]) for _ in range(2)]

    assert [d.remaining for d in decisions] == [4, 3]
    assert not any(d.degraded for d in decisions)
    limiter.close()

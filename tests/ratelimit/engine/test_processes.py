"""Many processes on one bucket, by the real clock of a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from math import floor

import pytest

from ratelimit.buckets import Bucket
from ratelimit.keys import Keys
from ratelimit.limiter import Limiter
from ratelimit.quota import Quota
from tests.architecture.sources import ROOT
from tests.ratelimit.engine.servers import PATIENT_S, unique

pytestmark = pytest.mark.valkey

PROCESSES, REQUESTS = 8, 2_000
# Slow enough that the moments of the first and the last decision, which are known to the time of
# a round trip, leave no doubt about the exact number.
QUOTA = Quota(limit=173, period_us=7_000_000, burst=500)
WORKER = """
import sys, redis
from ratelimit.buckets import Bucket
from ratelimit.keys import Keys
from ratelimit.limiter import Limiter
from ratelimit.quota import Quota
url, prefix, requests, *quota = sys.argv[1:]
limiter = Limiter(redis.Redis.from_url(url), keys=Keys(prefix), budget_s=10.0, connect_s=10.0)
bucket = Bucket("shared", "k", Quota(*map(int, quota)))
limiter.peek([bucket])
print("ready", flush=True)
sys.stdin.readline()
decisions = [limiter.acquire([bucket]) for _ in range(int(requests))]
assert not any(decision.degraded for decision in decisions)
print(sum(decision.allowed for decision in decisions))
"""


def server_us(client):
    seconds, microseconds = client.time()
    return seconds * 1_000_000 + microseconds


def start(valkey, prefix):
    facts = [valkey.url, prefix, REQUESTS, QUOTA.limit, QUOTA.period_us, QUOTA.burst]
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, *map(str, facts)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_eight_processes_admit_exactly_what_the_bucket_held_and_refilled(single):
    client, prefix = single.client(), unique()
    limiter = Limiter(client, keys=Keys(prefix), budget_s=PATIENT_S, connect_s=PATIENT_S)
    bucket = Bucket("shared", "k", QUOTA)
    workers = [start(single.valkey, prefix) for _ in range(PROCESSES)]
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * PROCESSES
    limiter.peek([bucket])

    begun = (server_us(client), limiter.take(bucket, 1).granted, server_us(client))
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    admitted = begun[1] + sum(int(worker.communicate()[0]) for worker in workers)
    ends = (server_us(client), limiter.take(bucket, QUOTA.burst).granted, server_us(client))
    admitted += ends[1]

    least = QUOTA.burst + floor((ends[0] - begun[2]) * QUOTA.rate / 1_000_000)
    most = QUOTA.burst + floor((ends[2] - begun[0]) * QUOTA.rate / 1_000_000)
    told = f"{PROCESSES} × {REQUESTS} requests: admitted {admitted}, exact {least}…{most}"
    sys.stdout.write(f"\n{told}\n")
    assert least <= admitted <= most <= least + 1
    # To the fraction of a microsecond: what is stored is the first moment and one step per unit.
    whole, part, _ = client.get(limiter._calls.keys.of("level", bucket)).split(b":")
    full_at = int(whole) + Fraction(int(part), QUOTA.units)
    assert begun[0] <= full_at - admitted * Fraction(QUOTA.period_us, QUOTA.limit) <= begun[2]
    limiter.close()


def test_a_fork_makes_connections_of_its_own(limiter):
    bucket = Bucket("p", "k", Quota.per_second(1, 500, 3600))
    limiter.acquire([bucket])
    child = os.fork()
    if child == 0:
        allowed = all(limiter.acquire([bucket]).remaining >= 0 for _ in range(100))
        os._exit(0 if allowed and not limiter.degraded else 1)
    decisions = [limiter.acquire([bucket]) for _ in range(100)]

    assert os.waitpid(child, 0)[1] == 0
    assert not any(decision.degraded for decision in decisions)
    assert limiter.peek([bucket]).remaining == 500 - 201


def test_the_clock_of_a_client_decides_nothing(limiter, monkeypatch):
    bucket = Bucket("p", "k", Quota.per_second(1, 3, 3600))

    found = []
    for offset_s in (0, 86_400, -86_400, 10**9):
        monkeypatch.setattr("time.time", lambda offset_s=offset_s: 1.8e9 + offset_s)
        found.append(limiter.acquire([bucket]))

    assert [decision.remaining for decision in found] == [2, 1, 0, 0]
    assert 3590 < found[3].retry_after <= 3600

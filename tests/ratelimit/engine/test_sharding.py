"""`shard_by="tenant"`: a tenant's buckets live apart from those that all share."""

from __future__ import annotations

import threading

import pytest
from redis.crc import key_slot

from ratelimit.keys import Keys
from tests.ratelimit.engine.servers import bucket, make_limiter, unique

pytestmark = pytest.mark.valkey

MINE = bucket("mine", key="t:7", burst=10, tenant="7")
THEIRS = bucket("theirs", key="t:8", burst=10, tenant="8")
EVERYBODYS = bucket("everybody's", key="all", burst=3)


@pytest.fixture(params=["threads", "asyncio"])
def sharded(request, server):
    made = make_limiter(
        server, is_async=request.param == "asyncio", keys=Keys(unique(), shard_by="tenant")
    )
    yield made
    made.close()


def test_tenants_have_places_of_their_own():
    keys = Keys("p", shard_by="tenant")

    tags = {keys.of("level", b).split("}")[0] for b in (MINE, THEIRS, EVERYBODYS)}
    together = {key_slot(Keys("p").of("level", b).encode()) for b in (MINE, THEIRS, EVERYBODYS)}

    assert tags == {"p:{t:7", "p:{t:8", "p:{ansf"}
    assert len(together) == 1


def test_a_later_denial_gives_back_what_was_taken_before(sharded):
    decisions = [sharded.acquire([EVERYBODYS, MINE]) for _ in range(5)]

    assert [d.allowed for d in decisions] == [True, True, True, False, False]
    assert decisions[4].violated == ("everybody's",)
    assert [s.name for s in decisions[0].per_bucket] == ["everybody's", "mine"]
    assert [s.remaining for s in sharded.peek_many([EVERYBODYS, MINE])] == [0, 7]


def test_every_verb_works_across_shards(sharded):
    both = [MINE, EVERYBODYS]

    reservation = sharded.reserve(both, 3)
    assert [s.remaining for s in sharded.peek_many(both)] == [7, 0]
    assert sharded.settle(reservation.id, 1)
    assert not sharded.settle(reservation, 1)
    assert [s.remaining for s in sharded.peek_many(both)] == [9, 2]
    assert [d.allowed for d in sharded.acquire_many([(both, 2), (both, 1)])] == [True, False]
    assert sharded.refund(both, 2)
    assert sharded.reset(both)
    assert [g.granted for g in sharded.take_many([(MINE, 99), (EVERYBODYS, 99)])] == [10, 3]
    assert not sharded.reserve(both, 1).allowed


def test_places_across_shards_are_taken_together_or_not_at_all(sharded):
    mine = bucket("mine", key="t:7", limit=5, tenant="7", unit="concurrency")
    alls = bucket("alls", key="all", limit=1, unit="concurrency")

    with sharded.slot([mine, alls]) as held, sharded.slot([mine, alls]) as refused:
        assert (held.allowed, refused.allowed) == (True, False)
        assert [s.remaining for s in sharded.peek_many([mine, alls])] == [4, 0]
    assert [s.remaining for s in sharded.peek_many([mine, alls])] == [5, 1]


def test_many_threads_never_admit_too_much_across_shards(single):
    limiter = make_limiter(single, is_async=False, keys=Keys(unique(), shard_by="tenant"))
    shared, admitted = bucket("shared", key="all", burst=40), []

    def ask(tenant):
        mine = bucket("mine", key=tenant, burst=30, tenant=tenant)
        admitted.extend(tenant for _ in range(60) if limiter.acquire([shared, mine]).allowed)

    threads = [threading.Thread(target=ask, args=(tenant,)) for tenant in ("1", "2", "3")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(admitted) == 40
    assert max(admitted.count(tenant) for tenant in "123") <= 30
    limiter.close()

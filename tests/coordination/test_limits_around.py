"""Around limited dispatch: who submits, what is refused, what is told, and Redis away."""

from __future__ import annotations

import time
from collections import Counter

import pytest
import redis

from ansf_platform.celery import MEMORY, app
from ansf_platform.first_run.servers import beside_up
from coordination import (
    TaskRequest,
    dispatch,
    keys,
    limiting,
    selectors,
    submit_many,
)
from coordination.dispatch import Dispatcher
from coordination.errors import Limited
from coordination.models import Agent, LimitSet, Status, Task
from coordination.publish import Publisher
from coordination.requests import Submitter
from coordination.submission import submit
from ratelimit import policies
from ratelimit.limiter import Limiter
from ratelimit.subject import Subject
from tests.coordination.steps import get, worker


@pytest.fixture
def dispatcher(db, limiter):
    publisher = Publisher(app, MEMORY)
    publisher.start()
    assert publisher.wait_ready(10)
    yield Dispatcher(publisher)
    publisher.stop(timeout=0)


def many(count, definition="limited", **options):
    requests = [TaskRequest(definition=definition, **options) for _ in range(count)]
    return [found.task_id for found in submit_many(requests).submissions]


def states(**filters):
    return Counter(Task.objects.filter(**filters).values_list("status", flat=True))


def test_policies_count_by_who_submitted(dispatcher, limited, tenant):
    limited({"scope": "user"})
    worker(concurrency=20)
    for user in ("1", "2"):
        requests = [TaskRequest(definition="limited")] * 5
        submit_many(requests, by=Submitter(user=user, token="9"))

    assert dispatcher.cycle(None) == 6
    assert set(LimitSet.objects.values_list("user", "token")) == {("1", ""), ("2", "")}


@pytest.mark.parametrize(("answer", "started"), [("deny", 0), ("allow", 6), ("local", 3)])
def test_without_redis_a_policy_says_what_happens_and_the_cycle_is_not_held_up(
    dispatcher, definition, limited, answer, started
):
    away = Limiter(redis.Redis(port=1), workers=1)
    dispatcher.limits = limiting.Limits(away)
    limited({"without_redis": answer, "on_deny": "shed" if answer == "deny" else "wait"})
    worker(concurrency=20)
    held, free = many(20), many(2, "accept")
    dispatcher.limits._peek([])

    dispatcher.cycle(None)
    assert states(id__in=held)["dispatched"] == started
    assert states(id__in=held)["cancelled"] == 0  # nothing is shed for want of Redis
    assert states(id__in=free) == {"dispatched": 2}
    away.close()


def test_a_policy_that_refuses_is_charged_when_tasks_are_submitted(dispatcher, limited, limiter):
    limited({"on_deny": "reject"})
    worker(concurrency=10)
    many(2)

    with pytest.raises(Limited, match="slow is reached: try again in") as refused:
        many(2)
    many(1)

    assert refused.value.decision.violated == ("slow",)
    assert Task.objects.count() == 3
    assert dispatcher.cycle(None) == 3  # paid for
    with pytest.raises(Limited, match="never lets in so many at once"):
        many(4)


def test_what_is_not_stored_is_not_charged(limited, limiter, definition):
    limited({"on_deny": "reject"})
    first = submit("limited", key="one").task_id
    for _ in range(5):
        assert submit("limited", key="one").task_id == first

    many(2)
    result = submit_many(
        [TaskRequest(definition="limited"), TaskRequest(definition="accept")], all_or_nothing=False
    )

    assert [found is not None for found in result.submissions] == [False, True]
    [error] = result.errors
    assert (error.index, error.field) == (0, "/limits")


def test_what_a_key_leads_to_needs_no_unit_however_often_it_is_asked_for(
    limited, limiter, definition, tenant
):
    limited({"on_deny": "reject", "burst": 3})
    requests = [TaskRequest(definition="limited", key=f"k{number}") for number in range(3)]
    first = submit_many([*requests, requests[0]]).submissions

    again = submit_many(requests).submissions

    assert [each.task_id for each in again] == [each.task_id for each in first[:3]]
    assert not any(each.created for each in again)
    with pytest.raises(Limited):
        submit("limited", key="another")


def test_a_task_that_was_to_be_another_s_and_is_stored_is_charged_afterwards(
    limited, limiter, definition, tenant, monkeypatch
):
    limited({"on_deny": "reject", "burst": 3})
    with monkeypatch.context() as late:
        late.setattr(keys, "held", lambda tenant_id, wanted: set(wanted))  # it ends meanwhile
        many(1, key="one")

    with pytest.raises(Limited, match="slow is reached"):
        submit_many([TaskRequest(definition="limited")] * 3)


def test_a_shadow_refuses_nothing_and_is_given_nothing_back(limited, limiter, definition):
    limited({"on_deny": "reject", "shadow": True, "burst": 2})
    for number in range(4):
        submit("limited", key=f"k{number}")

    for _ in range(3):
        submit("limited", key="k0")

    [shadow] = {
        bucket
        for row in LimitSet.objects.all()
        for bucket in policies.buckets_for(
            ["slow"], Subject(tenant=str(row.swarm.tenant_id), definition=row.definition.name)
        )
    }
    assert limiter.peek_many([shadow])[0].remaining == 0


def test_a_dead_leader_loses_units_and_lets_nobody_start_twice(dispatcher, limited, monkeypatch):
    limited({"burst": 5})
    worker(concurrency=10)
    many(20)

    def crash(*_):
        raise RuntimeError("killed here")

    with monkeypatch.context() as broken:
        broken.setattr(dispatch, "mark", crash)
        with pytest.raises(RuntimeError):
            dispatcher.cycle(None)
    successor = Dispatcher(dispatcher.publisher)

    assert successor.cycle(None) == 0
    assert states() == {"ready": 20}


def test_groups_are_found_without_a_walk_through_them(definition, limited, monkeypatch, dispatcher):
    limited()
    for priority in (1, 5, 9):
        many(3, priority=priority)
        many(3, "accept", priority=priority)
    wanted = set(Task.objects.values_list("pool", "swarm_id", "priority", "limit_set"))

    def found():
        return [(g["pool"], g["swarm_id"], g["priority"], g["limit_set"])
                for g in dispatcher._groups()]  # fmt: skip

    assert set(found()) == wanted
    assert len(found()) == len(wanted) == 6
    monkeypatch.setattr(dispatch, "MOST_GROUPS", 4)
    rounds = [found() for _ in range(2)]
    assert [len(groups) for groups in rounds] == [4, 2]
    assert {group for groups in rounds for group in groups} == wanted


def test_a_task_tells_which_policy_it_waits_for_and_about_how_long(dispatcher, limited, tenant):
    limited({"burst": 1})  # and one each 100 s
    worker(concurrency=10)
    ids = many(21)
    dispatcher.cycle(None)

    [hold] = selectors.holds_of(get(ids[20]))
    assert (hold.policy, hold.unit) == ("slow", "requests")
    assert 1900 < hold.starts_in <= 2000
    [queue] = selectors.limit_queues(tenant)
    assert (queue.policy, queue.key, queue.waiting) == ("slow", hold.key, 20)
    assert selectors.holds_of(get(ids[0])) == []


def test_places_are_told_as_well(dispatcher, limited, tenant):
    limited({"unit": "concurrency", "limit": 2, "period_seconds": 30, "burst": None})
    worker(concurrency=10)
    ids = many(5)
    dispatcher.cycle(None)

    [hold] = selectors.holds_of(get(ids[4]))
    assert (hold.left, hold.next_in, hold.starts_in) == (0, None, None)
    assert [queue.waiting for queue in selectors.limit_queues(tenant)] == [3]


@pytest.mark.fault
def test_a_paused_redis_does_not_hold_up_the_cycle_and_its_policy_is_followed(
    dispatcher, definition, limited, fresh_valkey
):
    server = fresh_valkey()
    away = Limiter(redis.Redis.from_url(server.url), workers=1)
    dispatcher.limits = limiting.Limits(away)
    limited({"without_redis": "deny", "burst": 100})
    worker(concurrency=20)
    many(300)
    while not dispatcher.cycle(None):  # a busy machine may miss the first budget
        time.sleep(dispatcher.limits.next_in)
    for step in (Status.RUNNING, Status.SUCCEEDED):
        Task.objects.exclude(status=Status.READY).update(status=step)
    groups = dispatcher._groups()
    server.pause()
    try:
        free, started, looked = many(2, "accept"), 0, time.perf_counter()
        for _ in range(50):
            dispatcher.limits.look(groups, [])
        assert time.perf_counter() - looked < 1.0  # each would wait for ever
        for _ in range(3):
            started += dispatcher.cycle(None)
    finally:
        server.resume()
    assert started == 2
    assert states(id__in=free) == {"dispatched": 2}
    wait_for = time.monotonic() + 10
    while not dispatcher.cycle(None):  # the limiter finds it again by itself
        assert time.monotonic() < wait_for
        time.sleep(0.05)
    away.close()


@pytest.mark.fault
@pytest.mark.valkey
def test_a_killed_redis_costs_one_more_burst_and_no_cycle(
    dispatcher, definition, limited, fresh_valkey
):
    server = fresh_valkey()
    away = Limiter(redis.Redis.from_url(server.url), workers=1, budget_s=0.5, probe_every_s=0.1)
    dispatcher.limits = limiting.Limits(away)
    limited({"without_redis": "local", "burst": 5})
    Agent.objects.update(slots=100)
    worker(concurrency=100, lease=60)
    held = many(60)

    def started(expected):
        wait_for = time.monotonic() + 10
        while states(id__in=held)["dispatched"] < expected:
            assert time.monotonic() < wait_for
            dispatcher.cycle(None)
            time.sleep(0.02)

    started(5)
    server.kill()
    free = many(2, "accept")
    started(10)  # the share of one worker is the whole burst
    assert away.degraded
    assert states(id__in=free) == {"dispatched": 2}

    server.start()
    wait_for = time.monotonic() + 10
    while away.degraded or away.alone.owing:  # it owes the five, and the new server is told
        assert time.monotonic() < wait_for
        time.sleep(0.05)
    time.sleep(limiting.REST_SECONDS)
    for _ in range(3):
        dispatcher.cycle(None)
    assert states(id__in=held) == {"dispatched": 10, "ready": 50}
    away.close()


def test_a_command_beside_up_counts_where_up_counts(settings, tmp_path):
    settings.REDIS_URL, settings.STATE_DIR = "", tmp_path
    (tmp_path / "valkey").mkdir()
    (tmp_path / "valkey" / "valkey.conf").write_text("port 7001\n")

    with beside_up():
        assert ":7001/" in settings.REDIS_URL
    assert settings.REDIS_URL == ""

"""Limited tasks over real rows and a real limiter: what starts, what waits, what is charged."""

from __future__ import annotations

import time
from collections import Counter
from uuid import uuid4

import pytest

from ansf_platform.celery import MEMORY, app
from coordination import (
    TaskRequest,
    dispatch,
    lifecycle,
    limiting,
    submit_many,
)
from coordination.dispatch import Dispatcher
from coordination.models import Agent, Attempt, Status, Swarm, Task
from coordination.publish import Publisher
from ratelimit import policies
from ratelimit.models import Policy
from tests.coordination.steps import ago, plant, status, worker


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


def level(limiter, name):
    """Units left in the only bucket of a policy that the limit sets lead to."""
    looked = limiting.Limits(limiter)
    pairs = set(Task.objects.values_list("swarm_id", "limit_set"))
    looked.subjects.refresh(pairs)
    keys = {key for pair in pairs for key in looked.subjects.need(pair).keys if key[0] == name}
    [state] = limiter.peek_many([looked.subjects.bucket(key) for key in keys])
    return state.remaining


def short_tasks():
    """Let the dispatcher know all definitions as those of tiny tasks."""
    for definition in set(Task.objects.values_list("definition_id", "swarm_id")):
        Attempt.objects.bulk_create(
            Attempt(task_id=uuid4(), fence=1, number=1, definition_id=definition[0],
                    swarm_id=definition[1], outcome="succeeded", run_ms=0.1)
            for _ in range(20)
        )  # fmt: skip


def test_what_a_policy_holds_back_stays_ready_and_hides_nobody(dispatcher, definition, limited):
    limited()
    worker(concurrency=10)
    held = many(200)
    Task.objects.filter(id__in=held).update(ready_at=ago(100))
    free = many(2, "accept")

    started = [dispatcher.cycle(None) for _ in range(3)]

    assert started == [5, 0, 0]
    assert {status(task) for task in free} == {"dispatched"}
    assert states(id__in=held) == {"dispatched": 3, "ready": 197}
    untouched = Task.objects.filter(id__in=held, status="ready")
    assert set(untouched.values_list("fence", "reason")) == {(0, "")}


def test_a_key_that_rests_is_looked_at_again_when_it_has_units(dispatcher, limited):
    limited({"limit": 20, "period_seconds": 1, "burst": 1})
    worker(concurrency=10)
    many(3)
    begun = time.monotonic()

    while states()["ready"]:
        if not dispatcher.cycle(None):
            assert 0 < dispatcher.limits.next_in <= 0.06
            time.sleep(dispatcher.limits.next_in)

    assert time.monotonic() - begun >= 0.1  # the first at once, two more at 20 a second


def test_a_resting_key_costs_neither_redis_nor_the_backlog_a_look(
    dispatcher, limited, monkeypatch, django_assert_num_queries
):
    limited()
    worker(concurrency=10)
    many(50)
    monkeypatch.setattr(limiting, "REST_SECONDS", 600.0)  # however slow the machine
    dispatcher.cycle(None)
    monkeypatch.setattr(dispatcher.limits, "limiter", None)  # whoever asked it now would fail

    with django_assert_num_queries(2):  # room, groups
        assert dispatcher.cycle(None) == 0


def test_a_task_of_several_policies_needs_all_of_them(dispatcher, limited, limiter):
    limited({"name": "wide", "burst": 10}, {"name": "narrow", "burst": 2})
    worker(concurrency=10)
    many(8)

    assert dispatcher.cycle(None) == 2
    assert (level(limiter, "wide"), level(limiter, "narrow")) == (8, 0)


def test_what_another_took_in_between_is_not_started_and_the_rest_is_given_back(
    dispatcher, limited, limiter, monkeypatch
):
    limited({"name": "wide", "burst": 10}, {"name": "narrow", "burst": 5})
    worker(concurrency=10)
    many(8)
    take_many = limiter.take_many

    def late(wishes):
        [narrow] = [bucket for bucket, _ in wishes if bucket.name == "narrow"]
        assert limiter.acquire([narrow], 3).allowed
        return take_many(wishes)

    monkeypatch.setattr(limiter, "take_many", late)

    assert dispatcher.cycle(None) == 2
    assert (level(limiter, "wide"), level(limiter, "narrow")) == (8, 0)


def test_units_of_tasks_that_could_not_be_marked_are_given_back(
    dispatcher, limited, limiter, monkeypatch, tenant
):
    limited({"burst": 10})
    worker(concurrency=10)
    ids = many(4)
    mark = dispatch.mark

    def late(term, picks):
        lifecycle.cancel(tenant.pk, ids[:3])
        return mark(term, picks)

    monkeypatch.setattr(dispatch, "mark", late)

    assert dispatcher.cycle(None) == 1
    assert level(limiter, "slow") == 9


def test_two_limit_sets_share_one_key_and_no_envelope(dispatcher, limited, tenant, swarms, policy):
    limited({"scope": "tenant", "burst": 7})
    for slug in ("qa", "devops"):
        Swarm.objects.filter(slug=slug).update(limits=["slow"])
    many(20, swarm="qa")
    many(20, swarm="devops")
    many(20)
    short_tasks()
    worker(concurrency=10)

    assert dispatcher.cycle(None) == 7
    sets = set(Task.objects.filter(status="dispatched").values_list("envelope", "limit_set"))
    assert len(sets) == len({envelope for envelope, _ in sets})


def test_the_most_urgent_of_a_key_go_first(dispatcher, limited):
    limited()
    worker(concurrency=10)
    low, high = many(5, priority=2), many(2, priority=8)

    dispatcher.cycle(None)

    assert states(id__in=high) == {"dispatched": 2}
    assert states(id__in=low)["dispatched"] == 1


def test_of_equals_those_go_first_who_could_have_started_earlier(
    dispatcher, definition, limited, settings
):
    settings.ANSF = {**settings.ANSF, "WINDOW_PER_SLOT": 1}
    limited()
    worker(concurrency=1)
    held = many(5)
    Task.objects.filter(id__in=held).update(ready_at=ago(30))
    [free] = many(1, "accept")

    assert dispatcher.cycle(None) == 1
    assert status(free) == "dispatched"


def test_concurrency_is_counted_from_the_rows(dispatcher, limited):
    limited({"unit": "concurrency", "limit": 2, "period_seconds": 30, "burst": None})
    worker(concurrency=10)
    ids = many(6)

    assert dispatcher.cycle(None) == 2
    assert dispatcher.cycle(None) == 0
    [done] = Task.objects.filter(status="dispatched")[:1]
    Task.objects.filter(id=done.pk).update(status=Status.RUNNING)
    assert dispatcher.cycle(None) == 0
    Task.objects.filter(id=done.pk).update(status=Status.SUCCEEDED)

    assert dispatcher.cycle(None) == 1
    assert states(id__in=ids) == {"dispatched": 2, "ready": 3, "succeeded": 1}


def test_a_policy_of_tokens_holds_back_while_none_is_left_and_charges_nothing(
    dispatcher, limited, limiter
):
    limited({"unit": "tokens", "burst": 100, "limit": 100})
    worker(concurrency=10)
    many(5)
    assert dispatcher.cycle(None) == 5
    assert level(limiter, "slow") == 100

    pairs = set(Task.objects.values_list("swarm_id", "limit_set"))
    key = dispatcher.limits.subjects.need(pairs.pop()).keys[0]
    limiter.acquire([dispatcher.limits.subjects.bucket(key)], 100)
    many(5)

    assert dispatcher.cycle(None) == 0


def test_a_shadow_counts_and_holds_nobody_back(dispatcher, limited, limiter):
    limited({"shadow": True})
    worker(concurrency=10)
    many(5)

    assert dispatcher.cycle(None) == 5
    assert level(limiter, "slow") == 0


def test_a_slow_shadow_lets_any_number_start(dispatcher, limited, limiter, monkeypatch):
    limited({"shadow": True, "limit": 1, "period_seconds": 31 * 86_400, "burst": 1})
    Agent.objects.update(slots=100)
    worker(concurrency=200)
    many(150)
    marked = dispatch.mark
    monkeypatch.setattr(dispatch, "mark", lambda term, picks: marked(term, picks[1:]))

    assert dispatcher.cycle(None) == 149
    assert level(limiter, "slow") == 0  # of the one that was given back, nothing had been charged


def test_shed_cancels_what_none_of_the_agents_may_start(dispatcher, limited, swarms):
    limited({"on_deny": "shed", "scope": "agent", "burst": 2})
    Agent.objects.filter(swarm__slug="research").exclude(
        name__in=["research-0", "research-1"]
    ).update(enabled=False)
    Agent.objects.update(slots=10)
    worker(concurrency=20)
    many(10)

    dispatcher.cycle(None)
    dispatcher.cycle(None)

    assert states() == {"dispatched": 4, "cancelled": 6}


def test_agents_have_limits_of_their_own(dispatcher, limited, swarms):
    limited({"scope": "agent", "burst": 2})
    Agent.objects.filter(swarm__slug="research", name__in=["research-0", "research-1"]).update(
        slots=10
    )
    Agent.objects.filter(swarm__slug="research", slots=1).update(enabled=False)
    worker(concurrency=20)
    many(30)

    assert dispatcher.cycle(None) == 4
    started = Task.objects.filter(status="dispatched").values_list("agent__name", flat=True)
    assert Counter(started) == {"research-0": 2, "research-1": 2}


def test_shed_cancels_what_cannot_start_at_once(dispatcher, definition, limited):
    limited({"on_deny": "shed"})
    worker(concurrency=10)
    shed, other = many(10), many(2, "accept")

    dispatcher.cycle(None)

    assert states(id__in=shed) == {"dispatched": 3, "cancelled": 7}
    assert set(Task.objects.filter(status="cancelled").values_list("reason", flat=True)) == {
        "limited"
    }
    assert states(id__in=other) == {"dispatched": 2}


def test_a_retry_and_a_replay_take_a_unit_again(dispatcher, limited, limiter, tenant):
    limited({"burst": 10})
    worker(concurrency=10)
    [task] = many(1)
    dispatcher.cycle(None)
    assert level(limiter, "slow") == 9
    plant(task, status="ready")  # as `wake` leaves a retry

    dispatcher.cycle(None)
    assert level(limiter, "slow") == 8

    lifecycle.cancel(tenant.pk, [task])
    lifecycle.replay(tenant.pk, [task])
    dispatcher.cycle(None)
    assert (status(task), level(limiter, "slow")) == ("dispatched", 7)


def test_a_changed_policy_holds_for_what_already_waits(dispatcher, limited, policy):
    limited()
    worker(concurrency=10)
    many(10)
    dispatcher.cycle(None)
    Policy.objects.update(burst=8)
    policies.forget()
    dispatcher.limits = limiting.Limits()  # as half a second later

    assert dispatcher.cycle(None) == 5


def test_a_swarm_that_is_limited_later_limits_what_already_waits(dispatcher, definition, policy):
    worker(concurrency=10)
    many(10, "accept")
    policy("late", scope="swarm")
    Swarm.objects.filter(slug="research").update(limits=["late"])

    assert dispatcher.cycle(None) == 3


def test_a_lane_takes_one_unit_at_a_time(dispatcher, limited, limiter):
    limited()
    worker(concurrency=10)
    lane = many(3, lane="l")
    alone = many(1)

    assert dispatcher.cycle(None) == 2
    assert (status(lane[0]), status(alone[0])) == ("dispatched", "dispatched")
    assert level(limiter, "slow") == 1

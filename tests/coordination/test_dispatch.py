"""The dispatcher over real rows and an in-process broker: what goes out, and what waits."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from kombu import Connection

from ansf_platform.celery import MEMORY, app
from coordination import TaskRequest, definitions, submit_many, swarms
from coordination.dispatch import FEWEST_CANDIDATES, Dispatcher
from coordination.models import Agent, Attempt, Status, Swarm, Task, WorkerNode
from coordination.publish import Publisher
from tests.coordination.steps import ago, get, now, plant, ready, status, worker


@pytest.fixture
def dispatcher(db):
    publisher = Publisher(app, MEMORY)
    publisher.start()
    assert publisher.wait_ready(10)
    yield Dispatcher(publisher)
    publisher.stop(timeout=0)  # its thread looks up once a second, and is in nobody's way


@pytest.fixture
def messages(dispatcher):
    """Stop the publisher, which sends what it accepted; what is in the queue of a pool."""

    def read(pool="cpu"):
        dispatcher.publisher.stop()
        found = []
        with Connection("memory://") as connection:
            channel = connection.default_channel
            while message := channel.basic_get(MEMORY.queue_name(pool), no_ack=True):
                found.append(message)
        return found

    read()  # what another test left
    dispatcher.publisher = Publisher(app, MEMORY)
    dispatcher.publisher.start()
    assert dispatcher.publisher.wait_ready(10)
    return read


def many(count, definition="accept", **options):
    requests = [TaskRequest(definition=definition, **options) for _ in range(count)]
    return [found.task_id for found in submit_many(requests).submissions]


def states():
    return Counter(Task.objects.values_list("status", flat=True))


def short_tasks(definition):
    """Let the dispatcher know this definition as one of tiny tasks."""
    Attempt.objects.bulk_create(
        Attempt(task_id=f"{number:032x}", fence=1, number=1, definition_id=definition.pk,
                swarm_id=definition.default_swarm_id, outcome="succeeded", run_ms=0.1)
        for number in range(20)
    )  # fmt: skip


def test_a_message_names_its_members_with_their_fences(dispatcher, definition, messages):
    worker()
    task = ready(priority=8)

    assert dispatcher.cycle(None) == 1

    [message] = messages()
    args, kwargs, _ = json.loads(message.body)
    row = get(task)
    assert (row.status, row.fence) == (Status.DISPATCHED, 1)
    assert (args, kwargs["members"]) == ([], [[task.hex, 1]])
    assert message.headers["id"] == row.envelope.hex
    assert message.headers["shadow"] == "tests.accept"
    assert row.agent_id in Agent.objects.filter(swarm__slug="research").values_list("pk", flat=True)


def test_without_a_worker_or_a_broker_work_waits_in_ready(dispatcher, definition):
    ready()
    assert dispatcher.cycle(None) == 0

    worker()
    assert Dispatcher(Publisher(app, MEMORY)).cycle(None) == 0  # never started

    assert states() == {"ready": 1}


@pytest.mark.parametrize(
    "columns", [{"lease": -1}, {"draining": True}, {"pool": "io"}, {"stopped_at": 1}]
)
def test_a_worker_that_takes_no_work_makes_no_room(dispatcher, definition, columns):
    if "stopped_at" in columns:
        columns = {"stopped_at": now()}
    worker(**columns)
    ready()

    assert dispatcher.cycle(None) == 0


def test_the_window_bounds_what_is_in_flight(dispatcher, definition, settings):
    settings.ANSF = {**settings.ANSF, "WINDOW_PER_SLOT": 3}
    worker(concurrency=2)
    ids = many(20)

    assert dispatcher.cycle(None) == 6
    assert dispatcher.cycle(None) == 0
    task = Task.objects.filter(status=Status.DISPATCHED).first().id
    Task.objects.filter(id=task).update(status=Status.RUNNING)
    assert dispatcher.cycle(None) == 0  # running counts as well
    Task.objects.filter(id=task).update(status=Status.SUCCEEDED)

    assert dispatcher.cycle(None) == 1
    assert states() == {"dispatched": 6, "succeeded": 1, "ready": len(ids) - 7}


def test_an_agent_holds_one_envelope_per_slot(dispatcher, definition):
    Agent.objects.filter(swarm__slug="research").exclude(name="research-0").update(enabled=False)
    Agent.objects.filter(name="research-0").update(slots=2)
    worker(concurrency=10)
    many(10)

    assert dispatcher.cycle(None) == 2
    assert dispatcher.cycle(None) == 0


def test_a_swarm_without_agents_waits_and_does_not_hold_up_others(dispatcher, definition, tenant):
    empty = Swarm.objects.create(tenant=tenant, slug="empty")
    worker(concurrency=10)
    waiting = ready(swarm=empty.slug)
    others = many(3)

    assert dispatcher.cycle(None) == 3
    assert status(waiting) == Status.READY
    assert {status(task) for task in others} == {Status.DISPATCHED}


def test_a_paused_swarm_is_left_out_until_it_is_resumed(dispatcher, definition):
    worker()
    swarm = Swarm.objects.get(slug="research")
    swarms.pause(swarm)
    ready()
    assert dispatcher.cycle(None) == 0

    swarms.resume(swarm)

    assert dispatcher.cycle(None) == 1


def test_the_most_urgent_goes_first_and_waiting_makes_urgent(dispatcher, definition, settings):
    settings.ANSF = {**settings.ANSF, "WINDOW_PER_SLOT": 1, "AGING_STEP_SECONDS": 60.0}
    worker(concurrency=1)
    low, high, aged = ready(priority=1), ready(priority=7), ready(priority=1)
    plant(aged, ready_at=ago(60 * 7 + 1))

    dispatcher.cycle(None)

    assert [status(task) for task in (aged, high, low)] == ["dispatched", "ready", "ready"]


def test_tiny_tasks_share_envelopes_and_lanes_do_not(dispatcher, definition, messages, settings):
    settings.ANSF = {**settings.ANSF, "WINDOW_PER_SLOT": 2}
    short_tasks(definition)
    worker(concurrency=2)
    many(300)
    lane = ready(lane="l", priority=9)

    dispatcher.cycle(None)

    sizes = sorted(len(json.loads(message.body)[1]["members"]) for message in messages())
    assert len(sizes) == 4
    assert sizes[0] == 1
    assert sizes[-1] > 50
    alone = get(lane).envelope
    assert Task.objects.filter(envelope=alone).count() == 1


def test_one_that_is_suspected_of_killing_its_worker_travels_alone(dispatcher, definition):
    short_tasks(definition)
    worker(concurrency=1)
    many(50)
    suspect = many(1)[0]
    plant(suspect, solo=True, ready_at=ago(100))

    dispatcher.cycle(None)

    assert Task.objects.filter(envelope=get(suspect).envelope).count() == 1


def test_work_that_no_agent_is_able_to_do_does_not_hold_up_what_one_can(
    dispatcher, definition, tenant, swarms
):
    definitions.define(
        tenant,
        "gpu",
        handler="tests.accept",
        default_swarm=swarms["research"],
        capabilities=["gpu"],
    )
    worker(concurrency=2)
    able = ready()
    unable = many(3 * FEWEST_CANDIDATES, "gpu")
    Task.objects.filter(id__in=unable).update(ready_at=ago(10))

    for _ in range(3):
        dispatcher.cycle(None)

    assert status(able) == Status.DISPATCHED
    assert {status(task) for task in unable} == {Status.READY}


def test_a_refused_envelope_is_ready_again_at_the_next_cycle(dispatcher, definition):
    worker()
    task = ready()
    dispatcher.cycle(None)
    WorkerNode.objects.update(draining=True)

    dispatcher.publisher._refused.put(get(task).envelope)
    dispatcher.cycle(None)

    assert (status(task), get(task).reason) == (Status.READY, "not published")


def test_a_cycle_takes_a_handful_of_statements_however_much_waits(
    dispatcher, definition, django_assert_max_num_queries
):
    short_tasks(definition)
    worker(concurrency=10)
    many(1500)

    with django_assert_max_num_queries(11):
        assert dispatcher.cycle(None) > 100


def test_work_whose_handler_no_worker_has_does_not_hold_up_the_rest(dispatcher, definition, tenant):
    definitions.define(tenant, "elsewhere", handler="attractor.analyze", pool="cpu")
    worker(concurrency=2, handlers=["tests.accept"])
    able = ready()
    unable = many(3 * FEWEST_CANDIDATES, "elsewhere", swarm="default")
    Task.objects.filter(id__in=unable).update(ready_at=ago(10))
    Task.objects.filter(id=able).update(swarm_id=get(unable[0]).swarm_id)

    for _ in range(3):
        dispatcher.cycle(None)
        Task.objects.filter(id__in=unable, status=Status.DISPATCHED).update(status=Status.READY)

    assert status(able) == Status.DISPATCHED

"""Lists of tables without bound: no counting, no offsets, pages by key."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from coordination import submission
from coordination.models import Attempt, Task
from coordination.requests import TaskRequest

LISTS = ["task", "attempt", "edge", "runnode", "livekey", "taskbody", "firing", "laneentry"]
PAGE = 50


@pytest.fixture
def many(definition, tenant):
    requests = [TaskRequest(definition="echo", payload={"n": n}) for n in range(PAGE * 2 + 20)]
    return [
        placed.task_id for placed in submission.submit_many(requests, tenant=tenant).submissions
    ]


def statements(desk, address):
    with CaptureQueriesContext(
        connection,
    ) as captured:
        response = desk.get(address)
    assert response.status_code == 200
    return [query["sql"] for query in captured]


@pytest.mark.parametrize("name", LISTS)
def test_a_long_list_is_never_counted(desk, world, name):
    for query in ("", "?q=daily", "?created=day", "?status__exact=ready"):
        if name != "task" and "=" in query[4:]:
            continue
        said = statements(desk, f"/admin/coordination/{name}/{query}")
        table = f"coordination_{name}"
        assert not [sql for sql in said if "COUNT(" in sql.upper() and table in sql]
        assert not [sql for sql in said if "OFFSET" in sql.upper() and table in sql]


def test_the_number_of_statements_does_not_grow_with_the_page(desk, definition, many):
    full = statements(desk, "/admin/coordination/task/")
    Task.objects.exclude(pk=many[0]).delete()
    single = statements(desk, "/admin/coordination/task/")

    assert len(full) == len(single)


def test_the_list_of_tasks_neither_joins_nor_reads_payloads(desk, many):
    said = [
        sql
        for sql in statements(desk, "/admin/coordination/task/")
        if 'FROM "coordination_task"' in sql
    ]

    assert said
    assert not [sql for sql in said if "JOIN" in sql or '"payload",' in sql]


def pages(desk, start):
    """Follow the links of a direction to its end; the rows of each page."""
    response, seen = desk.get(start), []
    while True:
        changes = response.context["cl"]
        seen.append([row.pk for row in changes.result_list])
        if not changes.older_url:
            return seen, response
        response = desk.get(start + changes.older_url)


def test_older_pages_show_every_task_once(desk, many):
    seen, _ = pages(desk, "/admin/coordination/task/")

    assert [len(page) for page in seen] == [PAGE, PAGE, 20]
    assert [pk for page in seen for pk in page] == many[::-1]


def test_newer_leads_back_the_same_way(desk, many):
    start = "/admin/coordination/task/"
    seen, last = pages(desk, start)

    middle = desk.get(start + last.context["cl"].newer_url)
    first = desk.get(start + middle.context["cl"].newer_url)

    assert [row.pk for row in middle.context["cl"].result_list] == seen[1]
    assert [row.pk for row in first.context["cl"].result_list] == seen[0]
    assert not first.context["cl"].newer_url


def test_a_filter_starts_again_at_the_newest_and_paging_keeps_the_filter(desk, many):
    Task.objects.filter(pk__in=many[:70]).update(priority=9)
    start = "/admin/coordination/task/"

    first = desk.get(start + "?priority=9")
    second = desk.get(start + first.context["cl"].older_url)

    assert "priority=9" in first.context["cl"].older_url
    assert [row.pk for row in second.context["cl"].result_list] == many[:20][::-1]
    choices = second.context["cl"].filter_specs[0].choices(second.context["cl"])
    assert not [choice for choice in choices if "before=" in choice["query_string"]]


def test_filters_find_by_status_swarm_definition_and_age(desk, many, swarm, end):
    end("dead", many[7])
    found = {
        f"status__exact=dead&swarm={swarm.pk}&definition=echo&created=hour": [many[7]],
        "status__exact=running": [],
        "definition=unknown": None,  # no such definition: nothing is filtered by it
        "swarm=999999": [],
    }

    for query, expected in found.items():
        rows = desk.get(f"/admin/coordination/task/?{query}").context["cl"].result_list
        if expected is not None:
            assert [row.pk for row in rows] == expected


def test_search_finds_by_id_run_key_and_definition(desk, world):
    task = world["task"]
    nodes = set(Task.objects.exclude(run=None).values_list("pk", flat=True))
    run_id = Task.objects.exclude(run=None).first().run_id

    def found(term):
        rows = desk.get("/admin/coordination/task/", {"q": term}).context["cl"].result_list
        return {row.pk for row in rows}

    assert found(str(task.pk)) == {task.pk}
    assert found(str(run_id)) == nodes
    assert found("daily") == {task.pk}
    assert found("echo") == {task.pk, *nodes}
    assert found("nothing of the kind") == set()


def test_attempts_are_found_by_their_task(desk, world):
    task = world["task"]

    response = desk.get("/admin/coordination/attempt/", {"q": str(task.pk)})

    assert [row.pk for row in response.context["cl"].result_list] == [Attempt.objects.get().pk]

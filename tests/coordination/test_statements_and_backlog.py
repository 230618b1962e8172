"""The dispatcher's statements find their rows by index, whatever share of the table waits."""

from __future__ import annotations

import pytest
from django.db import connection

from coordination import dispatch, rows, sql
from coordination.bodies import encode
from coordination.ids import uuid7
from coordination.rows import NewTask

BACKLOG = 20_000


@pytest.mark.parametrize(
    "db", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
def test_looking_for_groups_that_wait_does_not_pass_over_the_backlog(definition, tenant):
    payload, swarm = encode({}), definition.default_swarm_id
    tasks = [NewTask(uuid7(), definition, swarm, 5, payload) for _ in range(BACKLOG)]
    rows.insert(tasks, tenant.pk, rows.database_now())
    bound = {"after": [dispatch.START], "most": 10}
    statement, parameters = sql._prepare(dispatch.GROUPS["postgresql"], bound)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE coordination_task")
        cursor.execute("EXPLAIN " + statement, parameters)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "task_ready" in plan
    assert "Seq Scan on coordination_task" not in plan
    assert [group["priority"] for group in sql.fetch(dispatch.GROUPS["postgresql"], bound)] == [5]

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction

from coordination import submit
from coordination.models import Status, Task


def test_a_submitted_task_is_ready(definition):
    answer = submit("accept", {"x": 1})

    task = Task.objects.get()
    assert (answer.task_id, answer.created) == (task.id, True)
    assert task.status == Status.READY


def test_the_guard_refuses_a_status_outside_the_transitions(definition):
    submit("accept")

    with pytest.raises(DatabaseError, match="not in TRANSITIONS"), transaction.atomic():
        Task.objects.update(status=Status.SUCCEEDED)

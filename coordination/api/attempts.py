"""What a task did: its attempts and its log."""

from __future__ import annotations

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.operations import operation
from ansf_platform.pagination import PAGING
from coordination import selectors
from coordination.api import rendering, task_schemas
from coordination.api.endpoint import CoordinationEndpoint
from coordination.errors import NotFound
from coordination.models import Attempt as AttemptRow
from coordination.models import Task as TaskRow


class TaskAttempts(CoordinationEndpoint):
    """The attempts of one task."""

    @operation(
        "List a task's attempts, first to last",
        scope="tasks:read",
        query=PAGING,
        answers={200: task_schemas.ATTEMPTS},
    )
    def get(self, request: Request, task_id: UUID) -> Response:
        task = selectors.task(self.tenant, task_id)
        found = selectors.attempts_of(task).values(*rendering.ATTEMPT_COLUMNS)
        return self.page_together(found, rendering.attempts, newest=False)


class TaskLogs(CoordinationEndpoint):
    """The log of one task."""

    @operation(
        "Show a task's log, all attempts in turn",
        scope="tasks:read",
        answers={200: task_schemas.LOGS},
    )
    def get(self, request: Request, task_id: UUID) -> Response:
        task = selectors.task(self.tenant, task_id)
        return Response({"id": task.pk, "status": task.status, "log": selectors.log_of(task)})


class Attempt(CoordinationEndpoint):
    """One attempt with its traceback and its log."""

    @operation("Show an attempt", scope="tasks:read", answers={200: task_schemas.ATTEMPT})
    def get(self, request: Request, attempt_id: int) -> Response:
        more = ("traceback", "log")
        found = AttemptRow.objects.filter(pk=attempt_id).values(*rendering.ATTEMPT_COLUMNS, *more)
        row = found.first()
        # An attempt belongs to whom its task belongs.
        if (
            row is None
            or not TaskRow.objects.filter(tenant=self.tenant, pk=row["task_id"]).exists()
        ):
            raise NotFound("there is no such attempt")
        return Response(rendering.attempts([row], *more)[0])

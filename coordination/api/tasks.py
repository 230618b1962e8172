"""Tasks: submit one or many, list, show, wait, cancel, retry."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.field_errors import FieldError
from ansf_platform.operations import Query, operation
from ansf_platform.pagination import PAGING
from ansf_platform.problems import ProblemError, invalid
from ansf_platform.schemas import choice, integer, moment, text, uuid
from coordination import lifecycle, rows, selectors
from coordination.api import rendering, task_requests, task_schemas
from coordination.api.endpoint import (
    MAX_ERRORS,
    CoordinationEndpoint,
    refuse_items,
    wait_for_end,
    wanted_wait,
)
from coordination.api.task_schemas import MAX_BULK
from coordination.catalogue import Catalogue
from coordination.errors import Invalid, ItemError, NotFound
from coordination.models import TERMINAL, Status
from coordination.requests import TaskRequest
from coordination.submission import BulkResult, Submission, draft, submit_many

FILTERS = (
    Query("status", choice(*Status.values)),
    Query("swarm", text(50, shortest=1), "Slug of a swarm."),
    Query("definition", text(100, shortest=1), "Name of a task definition."),
    Query("priority", integer(0, 9)),
    Query("run", uuid(), "Id of a run."),
    Query("key", text(200, shortest=1), "The task that had this unique key."),
    Query("created_after", moment(), "Not before this moment."),
    Query("created_before", moment(), "Before this moment."),
)


def address_of(task_id: UUID) -> str:
    """Where the task is found."""
    return f"/api/v1/tasks/{task_id}"


class Waiting(CoordinationEndpoint):
    """A view that submits a task and can answer with its end."""

    def settle(self, response: HttpResponseBase) -> HttpResponseBase:
        seconds = wanted_wait(self.request)
        location = response.get("Location", "")
        if not seconds or response.status_code >= 300 or not location.startswith("/api/v1/tasks/"):  # noqa: PLR2004
            return response
        task_id = UUID(location.rpartition("/")[2])
        if not wait_for_end(task_id, seconds):
            return response
        task = selectors.task(self.tenant, task_id)
        applied = {"Preference-Applied": f"wait={seconds}"}
        if task.status not in TERMINAL:
            response["Preference-Applied"] = applied["Preference-Applied"]
            return response
        return Response(rendering.whole(task), headers={"Location": location, **applied})


class Tasks(Waiting):
    """The tasks of a tenant."""

    @operation(
        "List tasks, newest first",
        scope="tasks:read",
        query=(*FILTERS, *PAGING),
        answers={200: task_schemas.TASKS},
    )
    def get(self, request: Request) -> Response:
        filters = {query.name: self.query[query.name] for query in FILTERS}
        found = selectors.tasks(self.tenant, **filters).values(*rendering.TASK_COLUMNS)
        return self.page_together(found, rendering.summaries)

    @operation(
        "Submit a task",
        scope="tasks:write",
        description="Answered as soon as it is stored, whether or not a broker or worker is up.",
        body=task_schemas.TASK_SUBMIT,
        by_hand=True,
        waits=True,
        answers={202: task_schemas.SUBMISSION, 200: task_schemas.TASK_OR_SUBMISSION},
    )
    def post(self, request: Request) -> Response:
        wanted, errors = task_requests.read_one(self.body)
        if wanted is None:
            raise refuse_items(errors)
        try:
            found = submit_many([wanted], tenant=self.tenant, by=self.submitter).submissions[0]
        except Invalid as error:
            raise Invalid(
                ItemError(None, one.field, one.message) for one in error.errors
            ) from error
        assert found is not None  # noqa: S101 - all_or_nothing raises instead
        if found.created:
            self.record("task.submit", "task", found.task_id, definition=wanted.definition)
        location = {"Location": address_of(found.task_id)}
        return Response(render_submission(found), 202 if found.created else 200, headers=location)


def render_submission(found: Submission | None) -> dict[str, Any] | None:
    """A submission's answer; None where the item was wrong."""
    return None if found is None else {"id": found.task_id, "created": found.created}


class TaskBulk(CoordinationEndpoint):
    """Many tasks in one request."""

    @operation(
        "Submit up to 10 000 tasks",
        scope="tasks:write",
        description="All or none; with `partial` the wrong ones are left out and reported.",
        body=task_schemas.TASK_BULK,
        by_hand=True,
        answers={202: task_schemas.BULK_ANSWER},
    )
    def post(self, request: Request) -> Response:
        items, partial = self._parts()
        wanted, errors = task_requests.read_many(items)
        if errors and not partial:
            raise refuse_items([*errors, *self._further(wanted)])
        positions = list(wanted)
        result = submit_many(
            list(wanted.values()),
            tenant=self.tenant,
            all_or_nothing=not partial,
            by=self.submitter,
        )
        errors = sorted([*errors, *_placed(result.errors, positions)], key=_position)
        submissions = _spread(result, positions, len(items))
        answer = self._answer(submissions, errors)
        if errors and answer["accepted"] == 0:
            raise refuse_items(errors)
        if answer["created"]:
            self.record("task.submit_bulk", "task", "bulk", created=answer["created"])
        return Response(answer, 202)

    def _parts(self) -> tuple[list[Any], bool]:
        if not isinstance(self.body, dict):
            raise invalid([FieldError("", "must be an object")])
        items, partial = self.body.get("tasks"), self.body.get("partial", False)
        unknown = sorted(set(self.body) - {"tasks", "partial"})
        if unknown:
            raise invalid([FieldError(f"/{unknown[0]}"[:100], "is not known here")])
        if not isinstance(items, list) or not 0 < len(items) <= MAX_BULK:
            message = f"must be a list of 1 to {MAX_BULK} tasks: send more in several requests"
            raise invalid([FieldError("/tasks", message)])
        if not isinstance(partial, bool):
            raise invalid([FieldError("/partial", "must be true or false")])
        return items, partial

    def _further(self, wanted: dict[int, TaskRequest]) -> list[ItemError]:
        """What is wrong with the items of right form: told together with the others."""
        _, errors = draft(Catalogue(self.tenant), list(wanted.values()), rows.database_now())
        return _placed(errors, list(wanted))

    def _answer(
        self, submissions: list[Submission | None], errors: list[ItemError]
    ) -> dict[str, Any]:
        accepted = [found for found in submissions if found is not None]
        return {
            "accepted": len(accepted),
            "created": sum(found.created for found in accepted),
            "tasks": [render_submission(found) for found in submissions],
            "errors": [
                {"index": error.index, "field": error.field, "message": error.message}
                for error in errors[:MAX_ERRORS]
            ],
        }


def _placed(errors: list[ItemError], positions: list[int]) -> list[ItemError]:
    """Errors of the items that were passed on, at their position in the body."""
    return [
        error
        if error.index is None
        else ItemError(positions[error.index], error.field, error.message)
        for error in errors
    ]


def _position(error: ItemError) -> int:
    return -1 if error.index is None else error.index


def _spread(result: BulkResult, positions: list[int], total: int) -> list[Submission | None]:
    spread: list[Submission | None] = [None] * total
    for position, found in zip(positions, result.submissions, strict=True):
        spread[position] = found
    return spread


class Task(CoordinationEndpoint):
    """One task."""

    @operation(
        "Show a task",
        scope="tasks:read",
        waits=True,
        answers={200: task_schemas.TASK},
    )
    def get(self, request: Request, task_id: UUID) -> Response:
        task = selectors.task(self.tenant, task_id)
        headers = {}
        if task.status not in TERMINAL and wait_for_end(task_id, seconds := wanted_wait(request)):
            task = selectors.task(self.tenant, task_id)
            headers = {"Preference-Applied": f"wait={seconds}"}
        return Response(rendering.whole(task), headers=headers)


class TaskCancellation(CoordinationEndpoint):
    """Ending a task before its time."""

    @operation(
        "Cancel a task",
        scope="tasks:write",
        description="At once where it waits (200); by telling its handler where it runs (202).",
        answers={200: task_schemas.CANCEL_ANSWER, 202: task_schemas.CANCEL_ANSWER},
    )
    def post(self, request: Request, task_id: UUID) -> Response:
        outcome = lifecycle.cancel(self.tenant.pk, [task_id])[task_id]
        match outcome:
            case "missing":
                raise NotFound("there is no such task")
            case "finished":
                raise ProblemError(409, "it has ended already: nothing was cancelled")
        self.record("task.cancel", "task", task_id, outcome=outcome)
        status = 200 if outcome == "cancelled" else 202
        return Response({"id": task_id, "outcome": outcome}, status)


class TaskRetry(CoordinationEndpoint):
    """Another life for a task that ended badly."""

    @operation(
        "Retry a task that is dead, cancelled or expired",
        scope="tasks:write",
        answers={202: task_schemas.RETRY_ANSWER},
    )
    def post(self, request: Request, task_id: UUID) -> Response:
        outcome = lifecycle.replay(self.tenant.pk, [task_id])[task_id]
        match outcome:
            case "missing":
                raise NotFound("there is no such task")
            case "not_ended":
                raise ProblemError(
                    409, "only a dead, cancelled or expired task can be retried: submit it again"
                )
        self.record("task.retry", "task", task_id)
        location = {"Location": address_of(task_id)}
        return Response({"id": task_id, "outcome": outcome}, 202, headers=location)

"""Schedules: tasks submitted again and again."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.endpoints import refuse_stale, tagged
from ansf_platform.field_errors import FieldError
from ansf_platform.operations import Query, operation
from ansf_platform.pagination import PAGING
from ansf_platform.problems import invalid
from ansf_platform.schemas import (
    anything,
    boolean,
    choice,
    define,
    integer,
    moment,
    nullable,
    number,
    page_of,
    record,
    slug,
    text,
    uuid,
)
from coordination import schedules
from coordination.api import changes
from coordination.api.endpoint import CoordinationEndpoint
from coordination.api.task_schemas import DEFINITION_NAME, PRIORITY, SUBMISSION
from coordination.api.tasks import Waiting, address_of, render_submission
from coordination.errors import Invalid
from coordination.models import Firing, Swarm, TaskDefinition
from coordination.models import Schedule as ScheduleRow

NAME = slug(100)
TIMING = {
    "cron": text(100, description="Five fields; empty when there is an interval."),
    "interval_seconds": nullable(number(1, 1e8)),
    "timezone": text(50, shortest=1, description="Of the cron expression, such as Europe/Paris."),
}
SETTINGS = {
    **TIMING,
    "swarm": nullable(slug()),
    "payload": anything(),
    "priority": nullable(PRIORITY),
    "catch_up": choice(*ScheduleRow.CatchUp.values, description="What to do about missed times."),
    "overlap": choice(*ScheduleRow.Overlap.values, description="While the last one still runs."),
    "enabled": boolean(),
}
SCHEDULE = define(
    "Schedule",
    record(
        {
            "id": integer(1),
            "name": NAME,
            "definition": text(100),
            **SETTINGS,
            "next_at": nullable(moment()),
            "last_error": text(300),
            "created_at": moment(),
            "revision": integer(1),
        }
    ),
)
SCHEDULES = page_of(SCHEDULE)
SCHEDULE_NEW = define(
    "ScheduleNew", record({"name": NAME, "definition": DEFINITION_NAME}, SETTINGS)
)
SCHEDULE_CHANGE = define("ScheduleChange", record({}, {"definition": DEFINITION_NAME, **SETTINGS}))
FIRING = define(
    "Firing",
    record(
        {
            "id": integer(1),
            "due_at": moment(),
            "fired_at": moment(),
            "task": nullable(uuid()),
            "skipped": text(100, description="Why it was left out."),
        }
    ),
)
FIRINGS = page_of(FIRING)


def render(schedule: ScheduleRow) -> dict[str, Any]:
    """A schedule as JSON."""
    names = ("id", "name", *SETTINGS, "next_at", "last_error", "created_at", "revision")
    told = {name: getattr(schedule, name) for name in names if name != "swarm"}
    swarm = schedule.swarm.slug if schedule.swarm else None
    return {**told, "definition": schedule.definition_name, "swarm": swarm}


def render_firing(firing: Firing) -> dict[str, Any]:
    """A firing as JSON."""
    names = ("id", "due_at", "fired_at", "skipped")
    return {**{name: getattr(firing, name) for name in names}, "task": firing.task_id}


class _ScheduleEndpoint(CoordinationEndpoint):
    def schedule(self, name: str) -> ScheduleRow:
        """The tenant's schedule."""
        rows = ScheduleRow.objects.filter(tenant=self.tenant).select_related("swarm", "tenant")
        return changes.found(rows, "schedule", self.request, name=name)

    def save(self, schedule: ScheduleRow) -> dict[str, Any]:
        """Store what the body says and arm the schedule anew; what changed."""
        values = dict(self.body)
        if "definition" in values:
            values["definition_name"] = self._definition(values.pop("definition"))
        if values.get("swarm") is not None:
            values["swarm"] = self._swarm(values["swarm"])
        for name in TIMING.keys() & values.keys():
            setattr(schedule, name, values[name])
        errors = schedules.check(schedule)
        if errors:
            raise Invalid(errors)
        # `check` needed the timing on the row; `save` sees only what differs from the row.
        if schedule.pk is not None:
            stored = ScheduleRow.objects.get(pk=schedule.pk)
            for name in TIMING:
                setattr(schedule, name, getattr(stored, name))
        changed = changes.save(schedule, values)
        if changed:
            schedules.arm(schedule)
        return changed

    def _definition(self, name: str) -> str:
        if not TaskDefinition.objects.filter(tenant=self.tenant, name=name).exists():
            raise invalid([FieldError("/definition", f"no task definition is called {name!r}")])
        return name

    def _swarm(self, slug_: str) -> Swarm:
        swarm = Swarm.objects.filter(tenant=self.tenant, slug=slug_).first()
        if swarm is None:
            raise invalid([FieldError("/swarm", f"no swarm is called {slug_!r}")])
        return swarm


class Schedules(_ScheduleEndpoint):
    """The schedules of a tenant."""

    @operation(
        "List schedules",
        scope="schedules:read",
        query=(Query("enabled", boolean()), *PAGING),
        answers={200: SCHEDULES},
    )
    def get(self, request: Request) -> Response:
        rows = ScheduleRow.objects.filter(tenant=self.tenant).select_related("swarm")
        if self.query["enabled"] is not None:
            rows = rows.filter(enabled=self.query["enabled"])
        return self.page(rows, render, newest=False)

    @operation(
        "Create a schedule",
        scope="schedules:admin",
        body=SCHEDULE_NEW,
        answers={201: SCHEDULE},
    )
    def post(self, request: Request) -> Response:
        schedule = ScheduleRow(tenant=self.tenant)
        changed = self.save(schedule)
        self.record("schedule.create", "schedule", schedule.name, **changed)
        location = f"/api/v1/schedules/{schedule.name}"
        return tagged(schedule, render(schedule), 201, Location=location)


class Schedule(_ScheduleEndpoint):
    """One schedule."""

    @operation("Show a schedule", scope="schedules:read", answers={200: SCHEDULE})
    def get(self, request: Request, name: str) -> Response:
        schedule = self.schedule(name)
        return tagged(schedule, render(schedule))

    @operation(
        "Change a schedule",
        scope="schedules:admin",
        description="Its next due time is counted from now.",
        body=SCHEDULE_CHANGE,
        conditional=True,
        answers={200: SCHEDULE},
    )
    def patch(self, request: Request, name: str) -> Response:
        schedule = self.schedule(name)
        refuse_stale(request, schedule)
        changed = self.save(schedule)
        if changed:
            self.record("schedule.update", "schedule", name, **changed)
        return tagged(schedule, render(schedule))

    @operation(
        "Remove a schedule",
        scope="schedules:admin",
        description="Its tasks stay.",
        conditional=True,
        answers={204: None},
    )
    def delete(self, request: Request, name: str) -> Response:
        schedule = self.schedule(name)
        refuse_stale(request, schedule)
        self.record("schedule.delete", "schedule", name)
        schedule.delete()
        return Response(status=204)


class SchedulePause(_ScheduleEndpoint):
    """Switching a schedule off."""

    enabled = False
    verb = "pause"

    @operation("Pause a schedule", scope="schedules:admin", answers={200: SCHEDULE})
    def post(self, request: Request, name: str) -> Response:
        return self.switch(name)

    def switch(self, name: str) -> Response:
        """Switch the schedule to what this view stands for."""
        schedule = self.schedule(name)
        if schedule.enabled != self.enabled:
            schedules.set_enabled(schedule, enabled=self.enabled)
            self.record(f"schedule.{self.verb}", "schedule", name)
        return tagged(schedule, render(schedule))


class ScheduleResume(SchedulePause):
    """Switching a schedule on."""

    enabled = True
    verb = "resume"

    @operation(
        "Resume a schedule",
        scope="schedules:admin",
        description="From now on: what was missed while it was paused is not caught up.",
        answers={200: SCHEDULE},
    )
    def post(self, request: Request, name: str) -> Response:
        return self.switch(name)


class ScheduleRun(_ScheduleEndpoint, Waiting):
    """Firing a schedule outside its times."""

    @operation(
        "Run a schedule's task now",
        scope="schedules:admin",
        waits=True,
        answers={202: SUBMISSION, 200: "Task"},
    )
    def post(self, request: Request, name: str) -> Response:
        schedule = self.schedule(name)
        found = schedules.run_now(schedule)
        self.record("schedule.run", "schedule", name, task=str(found.task_id))
        location = {"Location": address_of(found.task_id)}
        return Response(render_submission(found), 202, headers=location)


class Firings(_ScheduleEndpoint):
    """When a schedule fired."""

    @operation(
        "List a schedule's firings, newest first",
        scope="schedules:read",
        query=PAGING,
        answers={200: FIRINGS},
    )
    def get(self, request: Request, name: str) -> Response:
        return self.page(Firing.objects.filter(schedule=self.schedule(name)), render_firing)

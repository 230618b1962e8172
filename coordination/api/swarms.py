"""Swarms: define, change, pause, resume, remove."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.endpoints import refuse_stale, tagged
from ansf_platform.operations import Query, operation
from ansf_platform.pagination import PAGING
from ansf_platform.problems import ProblemError
from ansf_platform.schemas import (
    anything,
    array,
    boolean,
    define,
    integer,
    moment,
    nullable,
    number,
    page_of,
    record,
    slug,
    text,
)
from coordination import swarms
from coordination.api import changes
from coordination.api.endpoint import CoordinationEndpoint
from coordination.models import Agent, Schedule, Task, TaskDefinition
from coordination.models import Swarm as SwarmRow

LARGEST_SMALL = 32_767  # a small integer column
LABELS = array(text(100, shortest=1), most=100)

SETTINGS = {
    "name": text(100),
    "weight": integer(1, 1000, description="Share of the workers among swarms that wait."),
    "agents_min": integer(0, LARGEST_SMALL),
    "agents_max": integer(0, LARGEST_SMALL),
    "capabilities": LABELS,
    "limits": LABELS,
    "budget": anything(),
    "aging_seconds": nullable(
        number(0, 1e7, description="Waited seconds per step of priority; 0: none; null: default.")
    ),
}
SWARM = define(
    "Swarm",
    record(
        {
            "id": integer(1),
            "slug": slug(),
            **SETTINGS,
            "paused": boolean(),
            "created_at": moment(),
            "revision": integer(1),
        }
    ),
)
SWARMS = page_of(SWARM)
SWARM_NEW = define("SwarmNew", record({"slug": slug()}, {**SETTINGS, "paused": boolean()}))
SWARM_CHANGE = define("SwarmChange", record({}, {**SETTINGS, "paused": boolean()}))


def render(swarm: SwarmRow) -> dict[str, Any]:
    """A swarm as JSON."""
    names = ("id", "slug", *SETTINGS, "paused", "created_at", "revision")
    return {name: getattr(swarm, name) for name in names}


class Swarms(CoordinationEndpoint):
    """The swarms of a tenant."""

    @operation(
        "List swarms",
        scope="swarms:read",
        query=(Query("paused", boolean()), *PAGING),
        answers={200: SWARMS},
    )
    def get(self, request: Request) -> Response:
        rows = SwarmRow.objects.filter(tenant=self.tenant)
        if self.query["paused"] is not None:
            rows = rows.filter(paused=self.query["paused"])
        return self.page(rows, render, newest=False)

    @operation("Create a swarm", scope="swarms:admin", body=SWARM_NEW, answers={201: SWARM})
    def post(self, request: Request) -> Response:
        swarm = SwarmRow(tenant=self.tenant)
        changed = changes.save(swarm, self.body)
        self.record("swarm.create", "swarm", swarm.slug, **changed)
        return tagged(swarm, render(swarm), 201, Location=f"/api/v1/swarms/{swarm.slug}")


class Swarm(CoordinationEndpoint):
    """One swarm."""

    def swarm(self, slug: str) -> SwarmRow:
        """The tenant's swarm."""
        rows = SwarmRow.objects.filter(tenant=self.tenant)
        return changes.found(rows, "swarm", self.request, slug=slug)

    @operation("Show a swarm", scope="swarms:read", answers={200: SWARM})
    def get(self, request: Request, slug: str) -> Response:
        swarm = self.swarm(slug)
        return tagged(swarm, render(swarm))

    @operation(
        "Change a swarm",
        scope="swarms:admin",
        body=SWARM_CHANGE,
        conditional=True,
        answers={200: SWARM},
    )
    def patch(self, request: Request, slug: str) -> Response:
        swarm = self.swarm(slug)
        refuse_stale(request, swarm)
        changed = changes.save(swarm, self.body)
        if changed:
            self.record("swarm.update", "swarm", slug, **changed)
        return tagged(swarm, render(swarm))

    @operation(
        "Remove a swarm and its agents",
        scope="swarms:admin",
        description="Refused while tasks, definitions or schedules refer to it.",
        conditional=True,
        refuses=(409,),
        answers={204: None},
    )
    def delete(self, request: Request, slug: str) -> Response:
        swarm = self.swarm(slug)
        refuse_stale(request, swarm)
        _refuse_used(swarm)
        self.record("swarm.delete", "swarm", slug)
        swarm.delete()
        return Response(status=204)


def _refuse_used(swarm: SwarmRow) -> None:
    users = {
        "tasks": Task.objects.filter(tenant=swarm.tenant_id, swarm=swarm),
        "task definitions": TaskDefinition.objects.filter(default_swarm=swarm),
        "schedules": Schedule.objects.filter(swarm=swarm),
    }
    for what, rows in users.items():
        if rows.exists():
            raise ProblemError(409, f"{what} refer to this swarm: pause it instead")


class SwarmPause(Swarm):
    """Stopping a swarm."""

    http_method_names = ["post"]

    @operation(
        "Pause a swarm",
        scope="swarms:admin",
        description="Nothing more is dispatched; what is in flight finishes.",
        answers={200: SWARM},
    )
    def post(self, request: Request, slug: str) -> Response:
        swarm = self.swarm(slug)
        if swarms.pause(swarm):
            self.record("swarm.pause", "swarm", slug)
        return tagged(swarm, render(swarm))


class SwarmResume(Swarm):
    """Starting a swarm again."""

    http_method_names = ["post"]

    @operation("Resume a swarm", scope="swarms:admin", answers={200: SWARM})
    def post(self, request: Request, slug: str) -> Response:
        swarm = self.swarm(slug)
        if swarms.resume(swarm):
            self.record("swarm.resume", "swarm", slug)
        return tagged(swarm, render(swarm))


def agents_of(tenant_id: int) -> Any:
    """The agents of a tenant's swarms."""
    return Agent.objects.filter(swarm__tenant=tenant_id).select_related("swarm")

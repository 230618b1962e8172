"""Lanes: tasks that run one after another; a dead head may halt one."""

from __future__ import annotations

from typing import Any

from django.db.models import Count
from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.endpoints import refuse_stale, tagged
from ansf_platform.operations import Query, operation
from ansf_platform.pagination import PAGING
from ansf_platform.problems import ProblemError
from ansf_platform.schemas import (
    boolean,
    choice,
    define,
    integer,
    nullable,
    page_of,
    record,
    text,
    uuid,
)
from coordination import swarms
from coordination.api import changes
from coordination.api.endpoint import CoordinationEndpoint
from coordination.models import Lane as LaneRow
from coordination.models import LaneEntry

ON_DEAD = choice(*LaneRow.OnDead.values, description="What a dead head does to the lane.")
_SUMMARY = {
    "id": integer(1),
    "key": text(200),
    "on_dead": ON_DEAD,
    "halted": boolean(description="Waits for a person to skip its dead head."),
    "waiting": integer(description="Tasks in the lane that have not ended."),
    "revision": integer(1),
}
LANE_SUMMARY = define("LaneSummary", record(_SUMMARY))
LANES = page_of(LANE_SUMMARY)
LANE = define("Lane", record({**_SUMMARY, "head": nullable(uuid(description="Task in turn."))}))
LANE_CHANGE = define("LaneChange", record({}, {"on_dead": ON_DEAD}))


def render_all(lanes: list[LaneRow]) -> list[dict[str, Any]]:
    """Lanes of a list, what waits in them counted in one query."""
    entries = LaneEntry.objects.filter(lane__in=lanes).values_list("lane")
    waiting = dict(entries.annotate(n=Count("pk")).order_by())
    names = ("id", "key", "on_dead", "halted", "revision")
    return [
        {**{name: getattr(lane, name) for name in names}, "waiting": waiting.get(lane.pk, 0)}
        for lane in lanes
    ]


def render(lane: LaneRow) -> dict[str, Any]:
    """A lane with the task that is in turn."""
    first = LaneEntry.objects.filter(lane=lane).order_by("seq").values_list("task_id", flat=True)
    return {**render_all([lane])[0], "head": first.first()}


class Lanes(CoordinationEndpoint):
    """The lanes of a tenant."""

    @operation(
        "List lanes",
        scope="tasks:read",
        query=(Query("key", text(200, shortest=1)), Query("halted", boolean()), *PAGING),
        answers={200: LANES},
    )
    def get(self, request: Request) -> Response:
        rows = LaneRow.objects.filter(tenant=self.tenant)
        for name in ("key", "halted"):
            if self.query[name] is not None:
                rows = rows.filter(**{name: self.query[name]})
        return self.page_together(rows, render_all)


class Lane(CoordinationEndpoint):
    """One lane."""

    def lane(self, lane_id: int) -> LaneRow:
        """The tenant's lane."""
        rows = LaneRow.objects.filter(tenant=self.tenant)
        return changes.found(rows, "lane", self.request, pk=lane_id)

    @operation("Show a lane", scope="tasks:read", answers={200: LANE})
    def get(self, request: Request, lane_id: int) -> Response:
        lane = self.lane(lane_id)
        return tagged(lane, render(lane))

    @operation(
        "Change what a dead head does",
        scope="tasks:write",
        body=LANE_CHANGE,
        conditional=True,
        answers={200: LANE},
    )
    def patch(self, request: Request, lane_id: int) -> Response:
        lane = self.lane(lane_id)
        refuse_stale(request, lane)
        changed = changes.save(lane, self.body)
        if changed:
            self.record("lane.update", "lane", lane.key, **changed)
        return tagged(lane, render(lane))


class LaneSkip(Lane):
    """Going on after a dead head."""

    http_method_names = ["post"]

    @operation(
        "Skip the dead head of a halted lane",
        scope="tasks:write",
        description="Lifts the halt: the next task of the lane runs.",
        answers={200: LANE},
    )
    def post(self, request: Request, lane_id: int) -> Response:
        lane = self.lane(lane_id)
        if not swarms.go_on(lane):
            raise ProblemError(409, "the lane is not halted: there is nothing to skip")
        self.record("lane.skip", "lane", lane.key)
        return tagged(lane, render(lane))

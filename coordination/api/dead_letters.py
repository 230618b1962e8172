"""Dead letters: tasks that failed for good, and their replay by id or by filter."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.operations import Query, operation
from ansf_platform.pagination import PAGING
from ansf_platform.schemas import (
    array,
    boolean,
    choice,
    define,
    integer,
    moment,
    nullable,
    page_of,
    parse_moment,
    record,
    ref,
    text,
    uuid,
)
from coordination import lifecycle, selectors
from coordination.api import rendering
from coordination.api.endpoint import CoordinationEndpoint
from coordination.api.task_schemas import MAX_IDS, TASK_ERROR

_FILTER = {
    "definition": text(100, shortest=1),
    "swarm": text(50, shortest=1),
    "error_type": text(200, shortest=1),
    "ended_after": moment(),
    "ended_before": moment(),
}
DEAD = define(
    "DeadLetter",
    record(
        {
            "id": uuid(),
            "definition": text(100),
            "version": integer(1),
            "swarm": text(50),
            "attempt": integer(),
            "run": nullable(uuid()),
            "key": nullable(text(200)),
            "reason": text(100),
            "error": nullable(ref(TASK_ERROR)),
            "created_at": moment(),
            "finished_at": nullable(moment()),
        }
    ),
)
DEADS = page_of(DEAD)
REPLAY = define(
    "DeadLetterReplay",
    {
        "description": "Which dead letters: by id, or by filter (at most `limit`).",
        "oneOf": [
            record({"ids": array(uuid(), most=MAX_IDS, minItems=1)}),
            record({"filter": record({}, _FILTER)}, {"limit": integer(1, MAX_IDS, default=100)}),
        ],
    },
)
REPLAY_ANSWER = define(
    "DeadLetterReplayAnswer",
    record(
        {
            "replayed": integer(),
            "more": boolean(description="Whether the filter still finds others: ask again."),
            "outcomes": {
                "type": "object",
                "description": "By task id.",
                "additionalProperties": choice("replayed", "not_ended", "missing"),
            },
        }
    ),
)
_KEPT = (
    "id", "definition", "version", "swarm", "attempt", "run", "key", "reason", "created_at",
    "finished_at",
)  # fmt: skip


def render_all(rows: list[Any]) -> list[dict[str, Any]]:
    """Dead letters with their last error: three queries for a page."""
    errors = rendering.last_errors(row["id"] for row in rows)
    return [
        {**{name: told[name] for name in _KEPT}, "error": errors.get(told["id"])}
        for told in rendering.summaries(rows)
    ]


class DeadLetters(CoordinationEndpoint):
    """The dead letters of a tenant."""

    @operation(
        "List dead letters, newest first",
        scope="tasks:read",
        query=(*(Query(name, schema) for name, schema in _FILTER.items()), *PAGING),
        answers={200: DEADS},
    )
    def get(self, request: Request) -> Response:
        filters = {name: self.query[name] for name in _FILTER}
        found = selectors.dead_letters(self.tenant, **filters)
        return self.page_together(found.values(*rendering.TASK_COLUMNS), render_all)


class DeadLetterReplay(CoordinationEndpoint):
    """Another life for dead letters."""

    @operation(
        "Replay dead letters",
        scope="dead:replay",
        body=REPLAY,
        answers={202: REPLAY_ANSWER},
    )
    def post(self, request: Request) -> Response:
        ids, more = self._by_id() if "ids" in self.body else self._by_filter()
        outcomes = lifecycle.replay(self.tenant.pk, ids)
        replayed = [task_id for task_id, outcome in outcomes.items() if outcome == "replayed"]
        if replayed:
            first = [str(task_id) for task_id in replayed[:20]]
            self.record("dead.replay", "task", "bulk", replayed=len(replayed), first=first)
        told = {str(task_id): outcome for task_id, outcome in outcomes.items()}
        return Response({"replayed": len(replayed), "more": more, "outcomes": told}, 202)

    def _by_id(self) -> tuple[list[UUID], bool]:
        return [UUID(one) for one in self.body["ids"]], False

    def _by_filter(self) -> tuple[list[UUID], bool]:
        given = dict(self.body["filter"])
        for name in ("ended_after", "ended_before"):
            if name in given:
                given[name] = parse_moment(given[name])
        limit = int(self.body.get("limit", 100))
        found = selectors.dead_letters(self.tenant, **given).values_list("pk", flat=True)
        ids = list(found[: limit + 1])
        return ids[:limit], len(ids) > limit

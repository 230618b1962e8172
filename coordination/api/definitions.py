"""Task definitions: versions are added, never changed."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.db.models import Max
from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.endpoints import refuse_other_tag
from ansf_platform.field_errors import FieldError
from ansf_platform.operations import Query, operation
from ansf_platform.pagination import PAGING
from ansf_platform.problems import ProblemError, invalid
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
)
from coordination import definitions, selectors
from coordination.api.endpoint import CoordinationEndpoint
from coordination.api.swarms import LABELS, LARGEST_SMALL
from coordination.api.task_schemas import PRIORITY
from coordination.models import Pool, Schedule, Swarm, Task, TaskDefinition

NAME = text(100, shortest=1, pattern=r"^[^/\u0000-\u001f]+(?!\n)$")
SETTINGS = {
    "pool": choice(*Pool.values),
    "schema": anything(description="JSON Schema (draft 2020-12) of payloads."),
    "default_swarm": nullable(slug()),
    "default_priority": PRIORITY,
    "time_limit_seconds": number(0.1, 1e6),
    "max_attempts": integer(1, 100),
    "backoff_seconds": number(0, 1e6),
    "backoff_cap_seconds": number(0, 1e6),
    "capabilities": LABELS,
    "limits": LABELS,
    "cache": anything(),
    "idempotent": boolean(),
    "replication": integer(1, LARGEST_SMALL),
    "memory_mb": nullable(integer(0, 2**31 - 1)),
    "description": text(10_000),
}
HANDLER = text(200, shortest=1, description="Name of a registered Celery task.")
DEFINITION = define(
    "TaskDefinition",
    record(
        {
            "id": integer(1),
            "name": text(100),
            "version": integer(1),
            "handler": text(200),
            **SETTINGS,
            "enabled": boolean(),
            "created_at": moment(),
        }
    ),
)
DEFINITIONS = page_of(DEFINITION)
DEFINITION_NEW = define("TaskDefinitionNew", record({"name": NAME, "handler": HANDLER}, SETTINGS))
DEFINITION_PUT = define("TaskDefinitionPut", record({"handler": HANDLER}, SETTINGS))
DEFINITION_SWITCH = define("TaskDefinitionSwitch", record({"enabled": boolean()}))


def render(definition: TaskDefinition) -> dict[str, Any]:
    """A version as JSON."""
    names = ("id", "name", "version", "handler", *SETTINGS, "enabled", "created_at")
    swarm = definition.default_swarm
    told = {name: getattr(definition, name) for name in names if name != "default_swarm"}
    return {**told, "default_swarm": swarm.slug if swarm else None}


def address_of(definition: TaskDefinition) -> str:
    """Where the version is found."""
    return f"/api/v1/task-definitions/{quote(definition.name)}/versions/{definition.version}"


def tagged(definition: TaskDefinition, status: int = 200, **headers: str) -> Response:
    """An answer about a version, with an ETag that changes with the latest version."""
    headers = {"ETag": etag_of(definition), **headers}
    return Response(render(definition), status, headers=headers)


def etag_of(definition: TaskDefinition) -> str:
    """Changes with the version, and when it is enabled or disabled."""
    return f'"{definition.pk}.{int(definition.enabled)}"'


class _DefinitionEndpoint(CoordinationEndpoint):
    def define(self, name: str, body: dict[str, Any]) -> Response:
        """The version that says what `body` says: 201 when it is new, else 200."""
        columns = dict(body)
        slug_ = columns.pop("default_swarm", None)
        if slug_ is not None:
            columns["default_swarm"] = self._swarm(slug_)
        before = TaskDefinition.objects.filter(tenant=self.tenant, name=name)
        known = before.aggregate(last=Max("version"))["last"]
        made = definitions.define(self.tenant, name, **columns)
        status = 200 if made.version == known else 201
        if status == 201:  # noqa: PLR2004
            self.record("definition.create", "definition", str(made), handler=made.handler)
        return tagged(made, status, Location=address_of(made))

    def _swarm(self, slug_: str) -> Swarm:
        swarm = Swarm.objects.filter(tenant=self.tenant, slug=slug_).first()
        if swarm is None:
            raise invalid([FieldError("/default_swarm", f"no swarm is called {slug_!r}")])
        return swarm

    def refuse_stale(self, definition: TaskDefinition) -> None:
        """412 when ``If-Match`` names another version, or state of it, than this."""
        refuse_other_tag(self.request, etag_of(definition))

    def remove(self, versions: Any) -> Response:
        """Remove versions that no task refers to, and no schedule when none is left."""
        listed = list(versions)
        if Task.objects.filter(tenant=self.tenant, definition__in=[d.pk for d in listed]).exists():
            raise ProblemError(409, "tasks refer to it: disable it instead")
        name = listed[0].name
        others = TaskDefinition.objects.filter(tenant=self.tenant, name=name)
        if (
            not others.exclude(pk__in=[d.pk for d in listed]).exists()
            and Schedule.objects.filter(tenant=self.tenant, definition_name=name).exists()
        ):
            raise ProblemError(409, "a schedule refers to it: remove that first")
        for definition in listed:
            self.record("definition.delete", "definition", str(definition))
            definition.delete()
        return Response(status=204)


class Definitions(_DefinitionEndpoint):
    """The task definitions of a tenant."""

    @operation(
        "List task definitions, the latest version of each",
        scope="swarms:read",
        query=(Query("pool", choice(*Pool.values)), *PAGING),
        answers={200: DEFINITIONS},
    )
    def get(self, request: Request) -> Response:
        rows = TaskDefinition.objects.filter(tenant=self.tenant)
        latest = rows.values("name").annotate(last=Max("id")).values("last")
        rows = TaskDefinition.objects.filter(pk__in=latest).select_related("default_swarm")
        if self.query["pool"] is not None:
            rows = rows.filter(pool=self.query["pool"])
        return self.page(rows, render, newest=False)

    @operation(
        "Define a task",
        scope="swarms:admin",
        description="200 when the latest version says the same already, else 201 with a new one.",
        body=DEFINITION_NEW,
        answers={201: DEFINITION, 200: DEFINITION},
    )
    def post(self, request: Request) -> Response:
        body = dict(self.body)
        return self.define(body.pop("name"), body)


class Definition(_DefinitionEndpoint):
    """The latest version of a definition."""

    @operation("Show the latest version", scope="swarms:read", answers={200: DEFINITION})
    def get(self, request: Request, name: str) -> Response:
        return tagged(selectors.last_definition(self.tenant, name))

    @operation(
        "Make a new version",
        scope="swarms:admin",
        body=DEFINITION_PUT,
        conditional=True,
        refuses=(409,),
        answers={201: DEFINITION, 200: DEFINITION},
    )
    def put(self, request: Request, name: str) -> Response:
        self.refuse_stale(selectors.last_definition(self.tenant, name))
        return self.define(name, self.body)

    @operation(
        "Remove all versions",
        scope="swarms:admin",
        description="Refused while tasks or schedules refer to one.",
        conditional=True,
        refuses=(409,),
        answers={204: None},
    )
    def delete(self, request: Request, name: str) -> Response:
        self.refuse_stale(selectors.last_definition(self.tenant, name))
        return self.remove(TaskDefinition.objects.filter(tenant=self.tenant, name=name))


class Versions(_DefinitionEndpoint):
    """All versions of a definition."""

    @operation(
        "List versions, newest first",
        scope="swarms:read",
        query=PAGING,
        answers={200: DEFINITIONS},
    )
    def get(self, request: Request, name: str) -> Response:
        selectors.last_definition(self.tenant, name)
        rows = TaskDefinition.objects.filter(tenant=self.tenant, name=name)
        return self.page(rows.select_related("default_swarm"), render)


class Version(_DefinitionEndpoint):
    """One version."""

    @operation("Show a version", scope="swarms:read", answers={200: DEFINITION})
    def get(self, request: Request, name: str, version: int) -> Response:
        return tagged(selectors.last_definition(self.tenant, name, version))

    @operation(
        "Enable or disable a version",
        scope="swarms:admin",
        description="All else about a version never changes.",
        body=DEFINITION_SWITCH,
        conditional=True,
        answers={200: DEFINITION},
    )
    def patch(self, request: Request, name: str, version: int) -> Response:
        definition = selectors.last_definition(self.tenant, name, version)
        self.refuse_stale(definition)
        if definition.enabled != self.body["enabled"]:
            definition.enabled = self.body["enabled"]
            definition.save(update_fields=["enabled"])
            action = "definition.enable" if definition.enabled else "definition.disable"
            self.record(action, "definition", str(definition))
        return tagged(definition)

    @operation(
        "Remove a version",
        scope="swarms:admin",
        description="Refused while tasks refer to it.",
        conditional=True,
        refuses=(409,),
        answers={204: None},
    )
    def delete(self, request: Request, name: str, version: int) -> Response:
        definition = selectors.last_definition(self.tenant, name, version)
        self.refuse_stale(definition)
        return self.remove([definition])

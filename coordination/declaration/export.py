"""A tenant's swarms, definitions and schedules as a declaration that can be applied again."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from django.db import models

from ansf_platform.accounts.models import Tenant
from coordination.declaration import limits, spec
from coordination.declaration.parse import numbered
from coordination.declaration.spec import Field
from coordination.models import Agent, Schedule, Swarm, TaskDefinition

UNIVERSAL = {"handler", "pool", "definition_name"}  # written even where it is the default


def export(tenant: Tenant) -> dict[str, Any]:
    """Everything declared, without what has its default value."""
    swarms = Swarm.objects.filter(tenant=tenant).prefetch_related("agents")
    schedules = Schedule.objects.filter(tenant=tenant).select_related("swarm")
    whole = {
        "swarms": {swarm.slug: _swarm(swarm) for swarm in swarms},
        "definitions": {
            definition.name: _given(definition, spec.DEFINITION)
            for definition in _latest_definitions(tenant)
        },
        "schedules": {row.name: _given(row, spec.SCHEDULE) for row in schedules},
        "limits": limits.exported(tenant),
    }
    return {name: section for name, section in whole.items() if section}


def export_text(tenant: Tenant) -> str:
    """The same as YAML."""
    return str(yaml.safe_dump(export(tenant), sort_keys=False, allow_unicode=True, width=100))


def _latest_definitions(tenant: Tenant) -> list[TaskDefinition]:
    rows = TaskDefinition.objects.filter(tenant=tenant).select_related("default_swarm")
    by_name = itertools.groupby(rows.order_by("name", "-version"), key=lambda row: row.name)
    return [next(versions) for _, versions in by_name]


def _given(row: models.Model, fields: Mapping[str, Field]) -> dict[str, Any]:
    """The fields of a row that are not at their default, by their YAML name."""
    given: dict[str, Any] = {}
    fresh = type(row)()
    for key, known in fields.items():
        value = getattr(row, known.column)
        if known.column in UNIVERSAL or value != getattr(fresh, known.column):
            given[key] = value.slug if isinstance(value, Swarm) else value
    return given


def _swarm(swarm: Swarm) -> dict[str, Any]:
    agents = [(agent.name, _given(agent, spec.AGENT)) for agent in _in_order(swarm)]
    groups = [_group([name for name, _ in members], given) for given, members in _grouped(agents)]
    return _given(swarm, spec.SWARM) | {"agents": groups[0] if len(groups) == 1 else groups}


def _in_order(swarm: Swarm) -> list[Agent]:
    """Agents as people count them: agent-2 before agent-10."""
    return sorted(swarm.agents.all(), key=lambda agent: (len(agent.name), agent.name))


def _grouped(
    agents: Sequence[tuple[str, dict[str, Any]]],
) -> list[tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]]:
    groups: list[tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]] = []
    for agent in agents:
        for given, members in groups:
            if given == agent[1]:
                members.append(agent)
                break
        else:
            groups.append((agent[1], [agent]))
    return groups


def _group(names: list[str], given: Mapping[str, Any]) -> dict[str, Any]:
    is_numbered = names == numbered(given.get("role"), len(names))
    return {"count": len(names), **given} if is_numbered else {"names": names, **given}

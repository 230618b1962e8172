"""Making the rows what a declaration says, in one transaction, with an audit entry per change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models, transaction

from ansf_platform.accounts import audit
from ansf_platform.accounts.models import Tenant
from coordination import definitions, schedules
from coordination.declaration import limits
from coordination.declaration.spec import AgentSpec, Declaration, Item, SwarmSpec
from coordination.errors import Invalid, ItemError
from coordination.models import Agent, Schedule, Swarm, TaskDefinition

Declared = TypeVar("Declared", SwarmSpec, Item)
Action = Literal["create", "update", "disable"]
Kind = Literal["swarm", "agent", "definition", "schedule", "limit"]


@dataclass(frozen=True, slots=True)
class Change:
    """One row that is not what was declared; `before` and `after` hold the differing fields."""

    action: Action
    kind: Kind
    name: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


def apply(
    tenant: Tenant, declaration: Declaration, *, actor: str, dry_run: bool = False
) -> tuple[Change, ...]:
    """Change what differs; with `dry_run` everything is checked and written, then rolled back.

    Raises :class:`Invalid`, with nothing changed.
    """
    with transaction.atomic():
        # Two applications at once would both find a row missing and both insert it.
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        # First, for the others name them.
        limited = _each(declaration.limits, lambda item: _limit(tenant, item, actor))
        changes = (
            *_each(declaration.swarms, lambda item: _swarm(tenant, item)),
            *_each(declaration.definitions, lambda item: _definition(tenant, item)),
            *_each(declaration.schedules, lambda item: _schedule(tenant, item)),
            *limited,
        )
        for change in changes:
            if change.kind == "limit":  # its writer has told of it
                continue
            audit.record(
                f"{change.kind}.{change.action}",
                change.kind,
                change.name,
                actor=actor,
                tenant=tenant,
                before=dict(change.before),
                after=dict(change.after),
            )
        transaction.set_rollback(dry_run)
    return changes


def _each(items: Iterable[Declared], write: Callable[[Declared], list[Change]]) -> list[Change]:
    """The changes of all items, or one error that names what is wrong with any of them."""
    changes: list[Change] = []
    errors: list[ItemError] = []
    for item in items:
        try:
            changes += write(item)
        except Invalid as error:
            errors += error.errors
    if errors:
        raise Invalid(errors)
    return changes


def _swarm(tenant: Tenant, declared: SwarmSpec) -> list[Change]:
    swarm = Swarm.objects.filter(tenant=tenant, slug=declared.slug).first()
    columns = dict(declared.columns)
    if swarm is None:
        swarm = Swarm(tenant=tenant, slug=declared.slug)
        if declared.agents and "agents_max" not in columns:
            columns["agents_max"] = max(swarm.agents_max, len(declared.agents))
    path = f"/swarms/{declared.slug}"
    changes = _write(swarm, "swarm", declared.slug, columns, path)
    if declared.agents is not None:
        changes += _agents(swarm, declared.agents, path)
    return changes


def _agents(swarm: Swarm, declared: tuple[AgentSpec, ...], path: str) -> list[Change]:
    """The changes that leave exactly the declared agents enabled."""
    present = {agent.name: agent for agent in Agent.objects.filter(swarm=swarm)}
    changes: list[Change] = []
    for spec in declared:
        agent = present.pop(spec.name, None) or Agent(swarm=swarm, name=spec.name)
        columns = {"enabled": True, **spec.columns}
        changes += _write(agent, "agent", f"{swarm.slug}/{spec.name}", columns, f"{path}/agents")
    for name, agent in present.items():
        if agent.enabled:
            _save(agent, {"enabled": False}, f"{path}/agents")
            label = f"{swarm.slug}/{name}"
            changes.append(Change("disable", "agent", label, {"enabled": True}, {"enabled": False}))
    return changes


def _definition(tenant: Tenant, declared: Item) -> list[Change]:
    path = f"/definitions/{declared.name}"
    found = TaskDefinition.objects.filter(tenant=tenant, name=declared.name)
    latest = found.select_related("default_swarm").order_by("-version").first()
    columns = _with_swarm(tenant, declared.columns, "default_swarm", f"{path}/swarm")
    before: dict[str, Any] = {}
    if latest is None:
        columns.setdefault("handler", declared.name)
    else:
        before = {name: getattr(latest, name) for name in (*definitions.COLUMNS, "enabled")}
    differing = {
        name: value for name, value in columns.items() if not before or before[name] != value
    }
    if latest is not None and not differing:
        return []
    row = _define(tenant, declared.name, before | columns, path)
    before = {name: before[name] for name in differing} if before else {}
    action: Action = "update" if latest else "create"
    return [_change(action, "definition", str(row), before, differing)]


def _define(tenant: Tenant, name: str, columns: dict[str, Any], path: str) -> TaskDefinition:
    enabled = columns.pop("enabled", True)
    try:
        row = definitions.define(tenant, name, **columns)
    except Invalid as error:
        raise Invalid(
            ItemError(None, f"{path}{one.field}", one.message) for one in error.errors
        ) from error
    if row.enabled != enabled:  # a switch beside what the version says; see `definitions`
        TaskDefinition.objects.filter(pk=row.pk).update(enabled=enabled)
    return row


def _schedule(tenant: Tenant, declared: Item) -> list[Change]:
    path = f"/schedules/{declared.name}"
    columns = _with_swarm(tenant, declared.columns, "swarm", f"{path}/swarm")
    name = columns.get("definition_name")
    if not TaskDefinition.objects.filter(tenant=tenant, name=name).exists():
        raise _invalid(f"{path}/definition", f"no task definition is called {name!r}")
    found = Schedule.objects.select_related("swarm").filter(tenant=tenant, name=declared.name)
    schedule = found.first() or Schedule(tenant=tenant, name=declared.name)
    changes = _write(schedule, "schedule", declared.name, columns, path)
    errors = schedules.check(schedule)
    if errors:
        raise Invalid(ItemError(None, f"{path}{one.field}", one.message) for one in errors)
    if changes:
        schedules.arm(schedule)
    return changes


def _limit(tenant: Tenant, declared: Item, actor: str) -> list[Change]:
    written = limits.write(tenant, declared, actor)
    if written is None:
        return []
    created, (before, after) = written
    return [_change("create" if created else "update", "limit", declared.name, before, after)]


def _with_swarm(
    tenant: Tenant, columns: Mapping[str, Any], column: str, path: str
) -> dict[str, Any]:
    """The columns with the swarm's slug replaced by its row."""
    slug = columns.get(column)
    if slug is None:
        return dict(columns)
    swarm = Swarm.objects.filter(tenant=tenant, slug=slug).first()
    if swarm is None:
        raise _invalid(path, f"no swarm is called {slug!r}")
    return dict(columns) | {column: swarm}


def _write(
    row: models.Model, kind: Kind, name: str, columns: Mapping[str, Any], path: str
) -> list[Change]:
    """Create the row, or update the columns that differ; no change when none does."""
    created = row.pk is None
    differing = {
        column: value
        for column, value in columns.items()
        if created or getattr(row, column) != value
    }
    if not created and not differing:
        return []
    before = {} if created else {column: getattr(row, column) for column in differing}
    _save(row, differing, path)
    return [_change("create" if created else "update", kind, name, before, differing)]


def _save(row: models.Model, columns: Mapping[str, Any], path: str) -> None:
    for column, value in columns.items():
        setattr(row, column, value)
    if row.pk is not None:
        row.revision += 1  # type: ignore[attr-defined]
    try:
        row.full_clean(validate_unique=False)
    except ValidationError as error:
        raise Invalid(
            ItemError(None, path if name == NON_FIELD_ERRORS else f"{path}/{name}", message)
            for name, messages in error.message_dict.items()
            for message in messages
        ) from error
    row.save()


def _change(
    action: Action, kind: Kind, name: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Change:
    return Change(action, kind, name, _plain(before), _plain(after))


def _plain(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Columns as JSON: a row is named by its text."""
    return {
        name: str(value) if isinstance(value, models.Model) else value
        for name, value in columns.items()
    }


def _invalid(path: str, message: str) -> Invalid:
    return Invalid([ItemError(None, path, message)])

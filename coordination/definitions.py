"""Task definitions: checked when they are made, never changed afterwards."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import ValidationError

from ansf_platform.accounts.models import Tenant
from ansf_platform.text import is_storable
from coordination import handlers, payloads, sql
from coordination.errors import Invalid, ItemError
from coordination.models import TaskDefinition
from coordination.retry import LONGEST_SECONDS

logger = logging.getLogger(__name__)

COLUMNS = (
    "handler", "pool", "schema", "default_swarm", "default_priority", "time_limit_seconds",
    "max_attempts", "backoff_seconds", "backoff_cap_seconds", "capabilities", "limits", "cache",
    "idempotent", "replication", "memory_mb", "description",
)  # fmt: skip


@sql.retrying
def define(tenant: Tenant, name: str, **columns: Any) -> TaskDefinition:
    """The latest version if it already says exactly this, else a new version that does.

    Columns left out keep their defaults. Raises :class:`Invalid`.
    """
    if not is_storable(name):  # PostgreSQL would not even look for it
        raise Invalid([ItemError(None, "/name", "must not hold U+0000 or half of a pair")])
    with sql.atomic():
        # One at a time: two that saw the same latest version would both want the next number.
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        known = TaskDefinition.objects.filter(tenant=tenant, name=name)
        latest = known.order_by("-version").first()
        wanted = TaskDefinition(
            tenant=tenant, name=name, version=(latest.version if latest else 0) + 1, **columns
        )
        errors = check(wanted)
        if errors:
            raise Invalid(errors)
        if latest is not None and _same(latest, wanted):
            return latest
        for option in handlers.ignored_options(wanted.handler):
            logger.warning("%s: the handler's %s is ignored", wanted, option)
        wanted.save(force_insert=True)
        return wanted


def check(definition: TaskDefinition) -> list[ItemError]:
    """What is wrong with a definition that is not stored yet."""
    errors: list[ItemError] = []
    try:
        definition.full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        for field, messages in error.message_dict.items():
            errors.extend(ItemError(None, f"/{field}", message) for message in messages)
    for field in ("time_limit_seconds", "backoff_seconds", "backoff_cap_seconds"):
        value = getattr(definition, field)
        if isinstance(value, float) and not value <= LONGEST_SECONDS:  # a NaN is not either
            message = f"must be a number of seconds up to {LONGEST_SECONDS:.0f}"
            errors.append(ItemError(None, f"/{field}", message))
    if definition.handler and not handlers.is_bound(definition.handler):
        known = ", ".join(sorted(handlers.bound_names())) or "none"
        message = f"no handler is registered as {definition.handler!r}; registered: {known}"
        errors.append(ItemError(None, "/handler", message))
    flaw = payloads.check_schema(definition.schema)
    if flaw:
        errors.append(ItemError(None, "/schema", flaw))
    if definition.default_swarm and definition.default_swarm.tenant_id != definition.tenant_id:
        errors.append(ItemError(None, "/default_swarm", "belongs to another tenant"))
    return errors


def _same(one: TaskDefinition, other: TaskDefinition) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in COLUMNS)

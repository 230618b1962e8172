"""The audit trail: one function, called inside the transaction of the change."""

from __future__ import annotations

from typing import Any

from ansf_platform.accounts.models import AuditEntry, Tenant


def record(
    action: str,
    object_type: str,
    object_id: object,
    *,
    actor: str,
    tenant: Tenant | None = None,
    request_id: str = "",
    **detail: Any,
) -> AuditEntry:
    """Write that `actor` did `action` (dotted verb) to an object."""
    return AuditEntry.objects.create(
        tenant=tenant,
        actor=actor,
        action=action,
        object_type=object_type,
        object_id=str(object_id),
        detail=detail,
        request_id=request_id,
    )

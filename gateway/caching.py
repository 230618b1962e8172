"""What a policy's row lets the cache do with a request: one place for calls and for people."""

from __future__ import annotations

from dataclasses import replace

from gateway import catalogue
from gateway.cache.encoding import digest
from gateway.cache.policy import CachePolicy
from gateway.models import GatewayPolicy, LanguageModel, Provider
from gateway.request import Request, Visibility
from gateway.strictness import Strictness

WAIT_S = 60.0
"""Longest wait for an identical call."""

_CIRCLES: tuple[Visibility, ...] = ("user", "tenant", "global")


def narrowed(request: Request, policy: GatewayPolicy) -> Request:
    """The request with who may see its answer narrowed to what the policy allows at most."""
    widest = _CIRCLES[min(map(_CIRCLES.index, (request.visibility, policy.visibility)))]
    return request if widest == request.visibility else replace(request, visibility=widest)


def cache_policy(
    tenant_id: int, policy: GatewayPolicy, request: Request, wait_s: float = WAIT_S
) -> CachePolicy:
    """What the row says, for this request."""
    temperature = request.temperature
    enabled = policy.cache and (temperature is None or temperature <= policy.max_temperature)
    return CachePolicy(
        enabled=enabled,
        strictness=Strictness(policy.strictness),
        ttl_s=float(policy.ttl_seconds),
        budget_bytes=policy.byte_budget,
        shared_budget_bytes=_shared_budget() if request.visibility == "global" else 0,
        shadow=policy.shadow,
        wait_s=min(WAIT_S, wait_s),
        variant=_variant(tenant_id, policy, request) if enabled else "",
    )


def on_trial(row: LanguageModel) -> bool:
    """Whether no model stands behind the row."""
    return row.provider.kind == Provider.Kind.EXTRACTIVE


def _variant(tenant_id: int, policy: GatewayPolicy, request: Request) -> str:
    """What else shapes an answer: how the prompt is shortened, and who may be chosen to give it.

    An answer of a trial is not given any more once there is a model. What tenants share is shared
    by those who mean the same models: a tenant's own row may have a platform model's name.
    """
    chosen: object = None
    own: list[int] = []
    if request.visibility == "global":
        own = [row.pk for row in catalogue.view().models_of(tenant_id) if _may_answer(row, request)]
    if not request.model:
        rows = catalogue.view().models_of(tenant_id)
        budget = policy.call_budget(request.taken_as)
        trial = all(on_trial(row) for row in rows)
        chosen = (policy.quality_floor, sorted(policy.allowed_models), budget, trial)
    shortened = (policy.token_budget, policy.examples) if policy.compress else None
    return digest((chosen, shortened, own))


def _may_answer(row: LanguageModel, request: Request) -> bool:
    """Whether a row is a tenant's own and may be what answers."""
    return row.tenant_id is not None and request.model in {None, "", row.name}


def _shared_budget() -> int:
    """What the platform's own default policy says, or its column."""
    row = catalogue.view().policies.get((None, catalogue.DEFAULT_POLICY))
    return (row or GatewayPolicy()).byte_budget

"""The ledger: every answered call once, with what it cost and what was saved.

Writing is idempotent by request id, and settles the budgets in the same transaction: there is no
moment in which a call is spent and not told, or told and not spent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from gateway import budgets, spending
from gateway.budgets import Payer
from gateway.models import LedgerEntry
from gateway.models.accounting import NAME
from gateway.savings import Amounts, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An answered call, to be written."""

    request_id: str
    """Unique within the tenant; the same one again is the same call."""
    payer: Payer
    """Its `model` is the one that answered, or had answered before."""
    usage: Usage
    amounts: Amounts
    provider: str = ""
    policy: str = ""
    task_class: str = "simple"
    hit_level: str = "none"
    simulated: bool = False
    at: datetime = field(default_factory=timezone.now)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What writing a call did."""

    written: bool
    """False: it had been written before; nothing was changed."""
    warnings: tuple[str, ...] = ()
    """Names of the budgets at or beyond their soft bound."""


def record(call: Call) -> Recorded:
    """Write a call and settle its budgets, once."""
    entry = _entry(call)
    # Periods are opened before the entry is there: their first sum must not hold it.
    for budget in budgets.applying(call.payer) if entry.cost else ():
        spending.period_of(budget, entry.at)
    try:
        with transaction.atomic():
            entry.save(force_insert=True)
            return Recorded(written=True, warnings=budgets.settle(entry))
    except IntegrityError:
        written = LedgerEntry.objects.filter(tenant_id=entry.tenant_id, request_id=entry.request_id)
        if not written.exists():
            raise
    budgets.cancel(entry.tenant_id, entry.request_id)  # reserved again by a second attempt
    return Recorded(written=False)


def _entry(call: Call) -> LedgerEntry:
    payer, usage, amounts = call.payer, call.usage, call.amounts
    return LedgerEntry(
        tenant_id=payer.tenant_id,
        request_id=_kept(call.request_id),
        at=call.at,
        swarm=_kept(payer.swarm),
        agent=_kept(payer.agent),
        definition=_kept(payer.definition),
        model=_kept(payer.model),
        provider=_kept(call.provider),
        policy=_kept(call.policy),
        task_class=call.task_class,
        hit_level=call.hit_level,
        simulated=call.simulated,
        tokens_in=max(0, usage.tokens_in),
        tokens_out=max(0, usage.tokens_out),
        tokens_cached=max(0, usage.tokens_cached),
        cost=amounts.cost,
        baseline=amounts.baseline,
        saved_cache=amounts.saved_cache,
        saved_routing=amounts.saved_routing,
        saved_compression=amounts.saved_compression,
    )


def _kept(name: str) -> str:
    """What fits a column; U+0000 fits none."""
    return name.replace("\x00", "")[:NAME]

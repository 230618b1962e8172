"""The ledger: every answered call once, with what it cost and what was saved.

Writing is idempotent by request id, and settles the budgets in the same transaction: there is no
moment in which a call is spent and not told, or told and not spent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from django.db import connection, transaction
from django.db.models import Field
from django.utils import timezone

from gateway import budgets, spending
from gateway.budgets import Payer
from gateway.models import LedgerEntry
from gateway.models.accounting import NAME
from gateway.savings import Amounts, Usage
from gateway.threads import surviving


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
    reserved: bool = True
    """Whether it may hold a part of a budget; False spares looking."""
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
    return surviving(_recorded, _entry(call), reserved=call.reserved)


def _recorded(entry: LedgerEntry, *, reserved: bool) -> Recorded:
    charged = budgets.applying(budgets.payer_of(entry)) if entry.cost else []
    # Periods are opened before the entry is there: their first sum must not hold it.
    for budget in charged:
        spending.period_of(budget, entry.at)
    if not charged and not reserved:
        return Recorded(written=_inserted(entry))
    with transaction.atomic():
        if _inserted(entry):
            return Recorded(written=True, warnings=budgets.settle(entry, reserved=reserved))
    budgets.cancel(entry.tenant_id, entry.request_id)  # reserved again by a second attempt
    return Recorded(written=False)


def _inserted(entry: LedgerEntry) -> bool:
    """Whether the row is new. One statement; a call that is there already is no error."""
    values = [
        column.get_db_prep_save(column.pre_save(entry, True), connection) for column in _columns()
    ]
    with connection.cursor() as cursor:
        cursor.execute(_insertion(), values)
        return bool(cursor.rowcount == 1)


@cache
def _columns() -> list[Field[Any, Any]]:
    # "_meta" is Django's name for it.
    return [each for each in LedgerEntry._meta.concrete_fields if not each.primary_key]  # noqa: SLF001


@cache
def _insertion() -> str:
    names = ", ".join(f'"{column.column}"' for column in _columns())
    places = ", ".join(["%s"] * len(_columns()))
    # Not "OR IGNORE": what the constraints refuse has to be told.
    return (
        f"INSERT INTO {LedgerEntry._meta.db_table} ({names}) VALUES ({places}) "  # noqa: S608, SLF001 - names of ours
        "ON CONFLICT (tenant_id, request_id) DO NOTHING"
    )


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

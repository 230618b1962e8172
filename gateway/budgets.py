"""Budgets: reserve before a call, settle after it; no number of concurrent calls overruns one.

*Reserving* adds the call's worst cost to what is held of every budget with a hard bound, each by
one conditional update (`spent + held + amount ≤ hard`), all of them or none, in one transaction
and in the order of their ids. *Settling* is part of writing the ledger
(:func:`gateway.ledger.record`): what was held goes, what it cost is spent.

Bound: spent ≤ hard + Σ (cost − reserved) over calls that cost more than their worst cost, which a
provider that obeys the tokens asked for never does; so spent ≤ hard. A call that dies between the
two stays held until its period ends, or :func:`release` is asked for: the provider may have billed
it. A new budget applies within a second, and counts from the beginning of its current period.
Without a hard bound nothing is reserved and nothing refused.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone

from gateway import catalogue
from gateway.errors import BudgetExhausted
from gateway.models import Budget, BudgetHold, BudgetPeriod, LedgerEntry
from gateway.router import dollars
from gateway.spending import after, midnight, period_of, starts

logger = logging.getLogger(__name__)

Periods = Sequence[tuple[Budget, int | None]]
"""Budgets with the ids of their period's row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """Whom a call is charged to: names within the tenant."""

    tenant_id: int
    swarm: str = ""
    agent: str = ""
    definition: str = ""
    model: str = ""


def applying(payer: Payer) -> list[Budget]:
    """The enabled budgets that a call is counted in, in the order of their ids."""
    budgets = catalogue.view().budgets.get(payer.tenant_id, ())
    return [
        budget
        for budget in budgets
        if budget.scope == Budget.Scope.TENANT or getattr(payer, budget.scope) == budget.subject
    ]


def reserve(payer: Payer, request_id: str, amount: int, at: datetime | None = None) -> bool:
    """Hold `amount` nano-dollars in every hard budget, instead of what the request held before.

    False: there is none, so nothing is held. Raises BudgetExhausted, naming the budget, when one
    has no room; then nothing is held either.
    """
    hard = [budget for budget in applying(payer) if budget.hard is not None]
    if not hard:
        return False
    at = at or timezone.now()
    periods = [(budget, period_of(budget, at)) for budget in hard]
    try:
        with transaction.atomic():
            _hold(payer, request_id, periods, amount, at)
    except (IntegrityError, BudgetExhausted):  # what it holds already is looked for only now
        with transaction.atomic():
            cancel(payer.tenant_id, request_id)
            _hold(payer, request_id, periods, amount, at)
    return True


def _hold(payer: Payer, request_id: str, periods: Periods, amount: int, at: datetime) -> None:
    held = [pk for budget, pk in periods if pk and _held(budget, pk, amount, at)]
    if held:
        BudgetHold.objects.bulk_create(
            BudgetHold(
                period_id=pk, tenant_id=payer.tenant_id, request_id=request_id, amount=amount, at=at
            )
            for pk in held
        )


def _held(budget: Budget, pk: int, amount: int, at: datetime) -> bool:
    """Whether the amount is held now; False when the budget is gone. Raises BudgetExhausted."""
    room = (budget.hard or 0) - amount
    rows = BudgetPeriod.objects.filter(pk=pk, spent__lte=room - F("held"))
    if rows.update(held=F("held") + amount):
        return True
    row = BudgetPeriod.objects.filter(pk=pk).first()
    if row is None:
        return False
    raise _exhausted(budget, row, amount, at)


def _exhausted(budget: Budget, row: BudgetPeriod, amount: int, at: datetime) -> BudgetExhausted:
    left = max(0, (budget.hard or 0) - row.spent - row.held)
    end = after(budget.period, starts(budget.period, at))
    return BudgetExhausted(
        f"budget {budget.name} has {dollars(left)} left of {dollars(budget.hard or 0)} for this "
        f"{budget.period}, the call may cost {dollars(amount)}: raise it, or wait for {end}",
        retry_after=(midnight(end) - at).total_seconds(),
    )


def cancel(tenant_id: int, request_id: str) -> int:
    """Give back what a request holds; answers how many budgets it held of."""
    with transaction.atomic():
        holds = _taken(BudgetHold.objects.filter(tenant_id=tenant_id, request_id=request_id))
        _give_back(holds)
    return len(holds)


def release(tenant_id: int, before: datetime) -> int:
    """Give back all that has been held since before a moment; answers how many holds."""
    with transaction.atomic():
        holds = _taken(BudgetHold.objects.filter(tenant_id=tenant_id, at__lt=before))
        _give_back(holds)
    return len(holds)


def _taken(holds: Any) -> list[BudgetHold]:
    """The holds, deleted; whoever comes second finds none."""
    found = list(holds.select_for_update().order_by("period_id", "pk"))
    if found:
        BudgetHold.objects.filter(pk__in=[hold.pk for hold in found]).delete()
    return found


def _give_back(holds: Iterable[BudgetHold]) -> None:
    for hold in holds:
        _change(hold.period_id, held=-hold.amount)


def _change(pk: int, *, spent: int = 0, held: int = 0) -> tuple[int, bool] | None:
    """What is spent of a period now, and whether it was warned of; None when it is gone."""
    with connection.cursor() as cursor:
        cursor.execute(_CHANGE, [spent, held, held, pk])
        row = cursor.fetchone()
    return (row[0], row[1] is not None) if row else None


_CHANGE = """
UPDATE gateway_budgetperiod
SET spent = spent + %s, held = CASE WHEN held + %s < 0 THEN 0 ELSE held + %s END
WHERE id = %s
RETURNING spent, warned_at
"""


def settle(entry: LedgerEntry, *, reserved: bool = True) -> tuple[str, ...]:
    """Spend what an entry cost, and give back what its request held. In the entry's transaction.

    Answers the names of the budgets that are at or beyond their soft bound.
    """
    charged = applying(payer_of(entry)) if entry.cost else []
    opened = {pk: budget for budget in charged if (pk := period_of(budget, entry.at))}
    changes = {pk: [entry.cost, 0] for pk in opened}
    if reserved:
        held = BudgetHold.objects.filter(tenant_id=entry.tenant_id, request_id=entry.request_id)
        for hold in _taken(held):
            changes.setdefault(hold.period_id, [0, 0])[1] -= hold.amount
    reached = []
    for pk in sorted(changes):
        spent, back = changes[pk]
        told, budget = _change(pk, spent=spent, held=back), opened.get(pk)
        if told and budget and budget.soft is not None and told[0] >= budget.soft:
            reached.append(budget.name)
            if not told[1]:
                _warn(pk, budget, told[0], entry.at)
    return tuple(reached)


def _warn(pk: int, budget: Budget, spent: int, at: datetime) -> None:
    """Tell once in a period that the soft bound is reached."""
    if BudgetPeriod.objects.filter(pk=pk, warned_at=None).update(warned_at=at):
        told = f"{dollars(spent)} of {dollars(budget.soft or 0)}"
        logger.warning("budget %s has reached its soft bound: %s", budget.name, told)


def payer_of(entry: LedgerEntry) -> Payer:
    """Whom an entry was charged to."""
    return Payer(
        tenant_id=entry.tenant_id,
        swarm=entry.swarm,
        agent=entry.agent,
        definition=entry.definition,
        model=entry.model,
    )

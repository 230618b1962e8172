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
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q, Sum
from django.db.models.functions import Greatest
from django.utils import timezone

from gateway import catalogue
from gateway.errors import BudgetExhausted
from gateway.models import Budget, BudgetHold, BudgetPeriod, LedgerEntry, Period
from gateway.router import dollars

logger = logging.getLogger(__name__)

MOST_REMEMBERED = 10_000
FREE = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """Whom a call is charged to: names within the tenant."""

    tenant_id: int
    swarm: str = ""
    agent: str = ""
    definition: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Level:
    """How a budget stands in a period; nano-dollars."""

    budget: Budget
    start: date
    end: date
    """The first day of the next period."""
    spent: int
    held: int

    @property
    def state(self) -> str:
        """`ok`, `warning` from the soft bound on, `exhausted` at the hard one."""
        hard, soft = self.budget.hard, self.budget.soft
        if hard is not None and self.spent + self.held >= hard:
            return "exhausted"
        return "warning" if soft is not None and self.spent >= soft else "ok"


def starts(period: str, at: datetime) -> date:
    """The first day of the period that a moment lies in (UTC)."""
    day = at.astimezone(UTC).date()
    return day.replace(day=1) if period == Period.MONTH else day


def after(period: str, start: date) -> date:
    """The first day of the period after the one that begins on `start`."""
    if period == Period.DAY:
        return start + timedelta(days=1)
    return (start.replace(day=28) + timedelta(days=4)).replace(day=1)


def midnight(day: date) -> datetime:
    """The moment at which a day begins (UTC)."""
    return datetime.combine(day, time(), UTC)


def applying(payer: Payer) -> list[Budget]:
    """The enabled budgets that a call is counted in, in the order of their ids."""
    budgets = catalogue.view().budgets.get(payer.tenant_id, ())
    return [
        budget
        for budget in budgets
        if budget.scope == Budget.Scope.TENANT or getattr(payer, budget.scope) == budget.subject
    ]


def reserve(payer: Payer, request_id: str, amount: int, at: datetime | None = None) -> None:
    """Hold `amount` nano-dollars in every hard budget, instead of what the request held before.

    Raises BudgetExhausted, naming the budget, when one has no room; then nothing is held.
    """
    hard = [budget for budget in applying(payer) if budget.hard is not None]
    if not hard:
        return
    at = at or timezone.now()
    periods = [(budget, period_of(budget, at)) for budget in hard]
    with transaction.atomic():
        cancel(payer.tenant_id, request_id)
        held = [pk for budget, pk in periods if pk and _held(budget, pk, amount, at)]
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


def _change(pk: int, *, spent: int = 0, held: int = 0) -> None:
    BudgetPeriod.objects.filter(pk=pk).update(
        spent=F("spent") + spent, held=Greatest(F("held") + held, FREE)
    )


def settle(entry: LedgerEntry) -> tuple[str, ...]:
    """Spend what an entry cost, and give back what its request held. In the entry's transaction.

    Answers the names of the budgets that are at or beyond their soft bound.
    """
    payer = payer_of(entry)
    budgets = applying(payer)
    periods = [period_of(budget, entry.at) for budget in budgets] if entry.cost else []
    changes = {pk: [entry.cost, 0] for pk in periods if pk}
    held = BudgetHold.objects.filter(tenant_id=entry.tenant_id, request_id=entry.request_id)
    for hold in _taken(held):
        changes.setdefault(hold.period_id, [0, 0])[1] -= hold.amount
    for pk in sorted(changes):
        spent, back = changes[pk]
        _change(pk, spent=spent, held=back)
    return _warnings(budgets, entry) if entry.cost else ()


def _warnings(budgets: Sequence[Budget], entry: LedgerEntry) -> tuple[str, ...]:
    opened = ((period_of(budget, entry.at), budget) for budget in budgets)
    soft = {pk: budget for pk, budget in opened if pk and budget.soft is not None}
    reached = [
        (row, soft[row.pk])
        for row in (BudgetPeriod.objects.filter(pk__in=list(soft)) if soft else ())
        if row.spent >= (soft[row.pk].soft or 0)
    ]
    for row, budget in reached:
        first = BudgetPeriod.objects.filter(pk=row.pk, warned_at=None).update(warned_at=entry.at)
        if first:
            told = f"{dollars(row.spent)} of {dollars(budget.soft or 0)}"
            logger.warning("budget %s has reached its soft bound: %s", budget.name, told)
    return tuple(budget.name for _, budget in reached)


def payer_of(entry: LedgerEntry) -> Payer:
    """Whom an entry was charged to."""
    return Payer(
        tenant_id=entry.tenant_id,
        swarm=entry.swarm,
        agent=entry.agent,
        definition=entry.definition,
        model=entry.model,
    )


_known: dict[tuple[int, date], int] = {}


def period_of(budget: Budget, at: datetime) -> int | None:
    """The id of the row of the period; made when missing, with what was spent in it before.

    None when the budget has been deleted meanwhile.
    """
    start = starts(budget.period, at)
    pk = _known.get((budget.pk, start))
    if pk is None:
        row = BudgetPeriod.objects.filter(budget=budget, start=start).first()
        row = row or _opened(budget, start)
        pk = row.pk if row else None
        if pk and not connection.in_atomic_block:  # else it may be rolled back
            if len(_known) >= MOST_REMEMBERED:
                _known.clear()
            _known[budget.pk, start] = pk
    return pk


def forget() -> None:
    """Look the periods up anew: between tests."""
    _known.clear()


@transaction.atomic
def _opened(budget: Budget, start: date) -> BudgetPeriod | None:
    # Locked, so that it is not deleted until its period is there.
    if not Budget.objects.select_for_update().filter(pk=budget.pk).exists():
        return None
    row, _ = BudgetPeriod.objects.get_or_create(
        budget=budget, start=start, defaults={"spent": _spent(budget, start)}
    )
    return row


def _spent(budget: Budget, start: date) -> int:
    """What the ledger says was spent in a period."""
    rows = LedgerEntry.objects.filter(
        Q() if budget.scope == Budget.Scope.TENANT else Q(**{budget.scope: budget.subject}),
        tenant_id=budget.tenant_id,
        at__gte=midnight(start),
        at__lt=midnight(after(budget.period, start)),
    )
    return rows.aggregate(total=Sum("cost"))["total"] or 0


def recount(budget: Budget, at: datetime | None = None) -> int:
    """Count a period's spending again from the ledger: after a budget's scope has changed.

    Its row is locked before the entries are summed, so that none is missed or counted twice.
    """
    at = at or timezone.now()
    pk = period_of(budget, at)
    with transaction.atomic():
        row = BudgetPeriod.objects.select_for_update().filter(pk=pk or 0).first()
        if row is None:
            return 0
        row.spent = _spent(budget, row.start)
        row.save(update_fields=["spent"])
    return row.spent


def levels(tenant_id: int, at: datetime | None = None) -> list[Level]:
    """How each budget of a tenant stands now; reads the rows and writes none."""
    return levels_of(Budget.objects.filter(tenant_id=tenant_id).order_by("name"), at)


def levels_of(rows: Iterable[Budget], at: datetime | None = None) -> list[Level]:
    """How budgets stand now, in their order."""
    rows, at = list(rows), at or timezone.now()
    begun = {row.pk: starts(row.period, at) for row in rows}
    periods = BudgetPeriod.objects.filter(budget__in=rows, start__in=set(begun.values()))
    known = {
        period.budget_id: period for period in periods if period.start == begun[period.budget_id]
    }
    return [_level(row, begun[row.pk], known.get(row.pk)) for row in rows]


def _level(budget: Budget, start: date, period: BudgetPeriod | None) -> Level:
    spent, held = (period.spent, period.held) if period else (_spent(budget, start), 0)
    return Level(budget, start, after(budget.period, start), spent, held)

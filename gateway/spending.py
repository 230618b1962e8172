"""Periods of budgets: when they begin, what was spent in them, and how budgets stand.

A period's row is made by whoever needs it first, with what the ledger says was spent in it before;
from then on each entry adds to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db import connection, transaction
from django.db.models import Q, Sum
from django.utils import timezone

from gateway.models import Budget, BudgetPeriod, LedgerEntry, Period

MOST_REMEMBERED = 10_000


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

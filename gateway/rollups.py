"""Daily and monthly sums of the ledger: made from the entries, and made again whenever asked.

Days are rolled up in order, once they ended an hour ago, so that no entry comes after; months are
sums of days. Entries older than what is rolled up may be pruned: reports read sums for those days.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, F, Max, Min, Q, Sum
from django.utils import timezone

from gateway.models import LedgerEntry, Period, Rollup
from gateway.spending import after, midnight, starts

NAMES = ("swarm", "agent", "definition", "model", "provider")
AMOUNTS = (
    "tokens_in",
    "tokens_out",
    "tokens_cached",
    "cost",
    "baseline",
    "saved_cache",
    "saved_routing",
    "saved_compression",
)
SETTLED_AFTER = timedelta(hours=1)
MOST_DAYS = 400
"""Days that one call rolls up at most; the next goes on."""
_BATCH = 1_000


def bring_up_to_date(now: datetime | None = None) -> int:
    """Roll up each ended day that is not yet, and the months they lie in; answers how many days."""
    end = starts(Period.DAY, (now or timezone.now()) - SETTLED_AFTER)
    first = _first_missing()
    days = [] if first is None else list(_days(first, min(end, first + timedelta(MOST_DAYS))))
    for day in days:
        roll_up_day(day)
    for month in sorted({day.replace(day=1) for day in days}):
        roll_up_month(month)
    return len(days)


def rolled_until() -> date | None:
    """The first day that is not rolled up; None before any is."""
    last: date | None = Rollup.objects.filter(period=Period.DAY).aggregate(last=Max("start"))[
        "last"
    ]
    return None if last is None else last + timedelta(days=1)


def _first_missing() -> date | None:
    until = rolled_until()
    entries = LedgerEntry.objects.all() if until is None else _since(until)
    first: datetime | None = entries.aggregate(first=Min("at"))["first"]
    return None if first is None else first.astimezone(UTC).date()


def _since(day: date) -> Any:
    return LedgerEntry.objects.filter(at__gte=midnight(day))


def _days(first: date, end: date) -> Iterable[date]:
    return (first + timedelta(days=count) for count in range((end - first).days))


def roll_up_day(day: date) -> int:
    """Make a day's sums from its entries, instead of those there are; answers how many rows."""
    entries = _since(day).filter(at__lt=midnight(after(Period.DAY, day)))
    counted = {"calls": Count("pk"), "hits": Count("pk", filter=~Q(hit_level="none"))}
    return _replace(Period.DAY, day, _summed(entries, counted))


def roll_up_month(month: date) -> int:
    """Make a month's sums from its days, instead of those there are; answers how many rows."""
    days = Rollup.objects.filter(
        period=Period.DAY, start__gte=month, start__lt=after(Period.MONTH, month)
    )
    counted = {"calls": Sum("calls"), "hits": Sum("hits")}
    return _replace(Period.MONTH, month, _summed(days, counted))


def _summed(rows: Any, counted: dict[str, Any]) -> Any:
    """Sums by tenant and names, as plain rows, in a stable order."""
    names = ("tenant_id", *NAMES)
    # Another name than the column's: the alias would shadow it in the next sum.
    sums = {f"sum_{name}": Sum(F(name)) for name in AMOUNTS}
    counts = {f"sum_{name}": count for name, count in counted.items()}
    return rows.order_by(*names).values(*names).annotate(**sums, **counts)


def _replace(period: str, start: date, found: Any) -> int:
    written = 0
    with transaction.atomic():
        Rollup.objects.filter(period=period, start=start).delete()
        batch: list[Rollup] = []
        for row in found.iterator(chunk_size=_BATCH):
            columns = {name.removeprefix("sum_"): value for name, value in row.items()}
            batch.append(Rollup(period=period, start=start, **columns))
            if len(batch) == _BATCH:
                Rollup.objects.bulk_create(batch)
                written, batch = written + len(batch), []
        Rollup.objects.bulk_create(batch)
    return written + len(batch)


def prune(before: date, most: int = 10_000) -> int:
    """Delete entries of days before one, oldest first and of rolled up days only; how many."""
    until = rolled_until()
    if until is None:
        return 0
    old = LedgerEntry.objects.filter(at__lt=midnight(min(before, until))).order_by("at")
    chosen = list(old.values_list("pk", flat=True)[:most])
    return LedgerEntry.objects.filter(pk__in=chosen).delete()[0]

"""What was spent and saved: sums by tenant, swarm, agent, definition or model, and CSV.

Days that are rolled up are read from their sums, later ones from the entries: both tell the same,
and a report over years stays cheap.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import Count, Q, Sum

from ansf_platform.accounts.models import Tenant
from gateway.models import LedgerEntry, Period, Rollup
from gateway.rollups import AMOUNTS, rolled_until
from gateway.spending import midnight

GROUPS = ("tenant", "swarm", "agent", "definition", "model", "provider")
BASELINE = "the priciest model allowed for each call, its prompt as it came, nothing cached"
MOST_GROUPS = 1_000
MOST_CSV_ROWS = 5_000_000
_CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class Cost:
    """Sums of one group; nano-dollars."""

    name: str
    calls: int = 0
    hits: int = 0
    """Calls answered without a model."""
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    cost: int = 0
    baseline: int = 0
    saved_cache: int = 0
    saved_routing: int = 0
    saved_compression: int = 0

    @property
    def saved(self) -> int:
        """All savings together."""
        return self.baseline - self.cost

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "saved": self.saved}


SUMS = tuple(field.name for field in fields(Cost))[1:]


@dataclass(frozen=True, slots=True)
class Report:
    """What was spent from a day on, to the end of another (UTC)."""

    by: str
    since: date | None
    until: date | None
    """The first day that is not in it; None: to now."""
    groups: tuple[Cost, ...]
    """The costliest first, at most :data:`MOST_GROUPS`."""
    total: Cost

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "by": self.by,
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            "unit": "nano-dollars",
            "baseline": BASELINE,
            "total": self.total.as_dict(),
            "groups": [group.as_dict() for group in self.groups],
        }


def report(
    tenant: Tenant | None, by: str = "model", since: date | None = None, until: date | None = None
) -> Report:
    """The costs of a tenant (None: of all). Raises ValueError for an unknown `by`."""
    if by not in GROUPS:
        raise ValueError(f"there is no grouping '{by[:50]}': use one of {', '.join(GROUPS)}")
    column = "tenant__slug" if by == "tenant" else by
    found: dict[str, dict[str, int]] = {}
    for rows, counts in _sources(tenant, since, until):
        sums = {f"sum_{name}": Sum(name) for name in AMOUNTS}
        for row in rows.order_by(column).values(column).annotate(**sums, **counts).iterator():
            group = found.setdefault(row.pop(column), {})
            for name, value in row.items():
                plain = name.removeprefix("sum_")
                group[plain] = group.get(plain, 0) + value
    groups = [Cost(name, **sums) for name, sums in found.items()]
    groups.sort(key=lambda group: (-group.cost, -group.baseline, group.name))
    return Report(by, since, until, tuple(groups[:MOST_GROUPS]), _total(groups))


def _sources(
    tenant: Tenant | None, since: date | None, until: date | None
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Daily sums up to the last day rolled up, entries after it, and how to count each."""
    owned = Q() if tenant is None else Q(tenant=tenant)
    rolled = rolled_until()
    if rolled is not None:
        days = Rollup.objects.filter(owned, period=Period.DAY)
        days = days.filter(start__gte=since) if since else days
        days = days.filter(start__lt=until) if until else days
        yield days, {"sum_calls": Sum("calls"), "sum_hits": Sum("hits")}
    entries = entries_of(tenant, max(filter(None, (since, rolled)), default=None), until)
    yield (
        entries,
        {
            "sum_calls": Count("pk"),
            "sum_hits": Count("pk", filter=~Q(hit_level=LedgerEntry.Hit.NONE)),
        },
    )


def _total(groups: Iterable[Cost]) -> Cost:
    sums = dict.fromkeys(SUMS, 0)
    for group in groups:
        for name in SUMS:
            sums[name] += getattr(group, name)
    return Cost("total", **sums)


def entries_of(tenant: Tenant | None, since: date | None, until: date | None) -> Any:
    """The entries from the beginning of a day to that of another."""
    rows = (
        LedgerEntry.objects.all() if tenant is None else LedgerEntry.objects.filter(tenant=tenant)
    )
    if since is not None:
        rows = rows.filter(at__gte=midnight(since))
    return rows.filter(at__lt=midnight(until)) if until is not None else rows


COLUMNS = (
    "at",
    "request_id",
    "tenant",
    "swarm",
    "agent",
    "definition",
    "model",
    "provider",
    "policy",
    "task_class",
    "hit_level",
    "simulated",
    *AMOUNTS,
)
"""Of the CSV of entries; amounts in nano-dollars."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_of_entries(rows: Any) -> Iterator[str]:
    """The entries as CSV (RFC 4180), oldest first, a part at a time."""
    found = rows.select_related("tenant").order_by("at", "pk")[:MOST_CSV_ROWS]
    return _csv(COLUMNS, (_line(row) for row in found.iterator(chunk_size=_CHUNK)))


def csv_of_report(found: Report) -> Iterator[str]:
    """The groups of a report as CSV."""
    columns = (found.by, *SUMS, "saved")
    rows = (
        (group.name, *(getattr(group, name) for name in (*SUMS, "saved"))) for group in found.groups
    )
    return _csv(columns, rows)


def _line(row: LedgerEntry) -> tuple[Any, ...]:
    plain = {"at": _moment(row.at), "tenant": row.tenant.slug}
    return tuple(plain[name] if name in plain else getattr(row, name) for name in COLUMNS)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _csv(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    part = io.StringIO()
    writer = csv.writer(part)
    writer.writerow(columns)
    for number, row in enumerate(rows, 1):
        writer.writerow(map(_cell, row))
        if number % _CHUNK == 0:
            yield part.getvalue()
            part.seek(0)
            part.truncate()
    yield part.getvalue()


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula gets an apostrophe in front."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value

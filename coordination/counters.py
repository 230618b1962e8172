"""Totals that outlive processes, for figures that rows cannot tell afterwards."""

from __future__ import annotations

from coordination import sql
from coordination.models import Counter


def add(name: str, count: int) -> None:
    """Add to a total, in the transaction of what it counts."""
    sql.change(
        """
        INSERT INTO coordination_counter (name, total) VALUES (%(name)s, %(count)s)
        ON CONFLICT (name) DO UPDATE SET total = coordination_counter.total + excluded.total
        """,
        {"name": name, "count": count},
    )


def totals() -> dict[str, int]:
    """Every total by name."""
    return dict(Counter.objects.values_list("name", "total"))

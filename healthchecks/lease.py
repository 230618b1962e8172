"""The lease of the watch: one process measures, the others wait."""

from __future__ import annotations

from coordination import sql

LEASE_SECONDS = 5.0

RENEW = """
UPDATE coordination_lease SET renewed_at = @now, expires_at = @after(%(seconds)s)
WHERE name = %(name)s AND holder = %(holder)s AND term = %(held)s AND expires_at > @now
"""
TAKE = """
INSERT INTO coordination_lease
    (name, holder, term, elected_at, renewed_at, steady_since, expires_at)
VALUES (%(name)s, %(holder)s, 1, @now, @now, @now, @after(%(seconds)s))
ON CONFLICT (name) DO UPDATE SET
    holder = excluded.holder, term = coordination_lease.term + 1, elected_at = excluded.elected_at,
    renewed_at = excluded.renewed_at, steady_since = excluded.steady_since,
    expires_at = excluded.expires_at
WHERE coordination_lease.expires_at <= @now
RETURNING term
"""
RESIGN = """
UPDATE coordination_lease SET expires_at = @now
WHERE name = %(name)s AND holder = %(holder)s AND term = %(held)s AND expires_at > @now
"""


class Leadership:
    """The holder's side of one lease row; the term grows whenever the leader changes."""

    def __init__(self, name: str, holder: str) -> None:
        self.name = name
        self.holder = holder
        self.term: int | None = None

    def acquire_or_renew(self) -> int | None:
        """The term when this holder leads now, else None. Raises DatabaseError."""
        if self.term is not None and sql.change(RENEW, self._parameters()):
            return self.term
        row = sql.one(sql.fetch(TAKE, self._parameters()))
        self.term = row["term"] if row else None
        return self.term

    def resign(self) -> None:
        """Let another one lead at once."""
        if self.term is not None:
            sql.change(RESIGN, self._parameters())
            self.term = None

    def _parameters(self) -> dict[str, object]:
        return {
            "name": self.name,
            "holder": self.holder,
            "held": self.term or 0,
            "seconds": LEASE_SECONDS,
        }

"""Leadership by a lease in the database, after the shape of River's elector.

A lease row names its holder and a term that grows with every change of holder. The holder renews
once a second; whoever finds the row expired takes it and raises the term. All times are the
database's.

Trust
    The holder believes in its lease until 1 s before it would expire, counted on its own
    monotonic clock from before the renewal was sent. Whatever the holder believes, each of its
    writes names the term, so a write of an older term changes nothing.

Steadiness
    ``steady_since`` is the start of the current series of renewals without a gap. After a
    database outage or a pause it starts anew, and with it the wait before anybody is judged.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from coordination import sql

LEASE_SECONDS = 5.0
RENEW_SECONDS = 1.0
MARGIN_SECONDS = 1.0
GAP_SECONDS = 2.5  # a renewal later than this after the last one begins a new series

_TAKE = """
INSERT INTO coordination_lease
    (name, holder, term, elected_at, renewed_at, steady_since, expires_at)
VALUES (%(name)s, %(holder)s, 1, @now, @now, @now, @after(%(lease)s))
ON CONFLICT (name) DO UPDATE SET
    term = coordination_lease.term
        + CASE WHEN coordination_lease.holder = excluded.holder
                    AND coordination_lease.term = %(term)s
                    AND coordination_lease.expires_at > @now THEN 0 ELSE 1 END,
    elected_at = CASE WHEN coordination_lease.holder = excluded.holder
                           AND coordination_lease.term = %(term)s
                           AND coordination_lease.expires_at > @now
                      THEN coordination_lease.elected_at ELSE excluded.elected_at END,
    steady_since = CASE WHEN coordination_lease.holder = excluded.holder
                             AND coordination_lease.term = %(term)s
                             AND coordination_lease.expires_at > @now
                             AND coordination_lease.renewed_at > @after(-%(gap)s)
                        THEN coordination_lease.steady_since ELSE excluded.steady_since END,
    holder = excluded.holder, renewed_at = excluded.renewed_at, expires_at = excluded.expires_at
WHERE coordination_lease.expires_at <= @now
   OR (coordination_lease.holder = excluded.holder AND coordination_lease.term = %(term)s)
RETURNING term
"""
_RESIGN = """
UPDATE coordination_lease SET expires_at = @now
WHERE name = %(name)s AND holder = %(holder)s AND term = %(term)s
"""


@dataclass(slots=True)
class Leadership:
    """One process's part in the election for the lease called `name`."""

    name: str
    holder: str
    term: int | None = None
    _trusted_until: float = field(default=0.0)

    def acquire_or_renew(self) -> int | None:
        """Take the lease if it is free, keep it if it is ours; the term, or None."""
        asked_at = time.monotonic()
        rows = sql.fetch(
            _TAKE,
            {
                "name": self.name,
                "holder": self.holder,
                "term": -1 if self.term is None else self.term,
                "lease": LEASE_SECONDS,
                "gap": GAP_SECONDS,
            },
        )
        self.term = rows[0]["term"] if rows else None
        self._trusted_until = asked_at + LEASE_SECONDS - MARGIN_SECONDS if rows else 0.0
        return self.term

    def trusted_term(self) -> int | None:
        """The term while the lease is certainly still ours, else None."""
        return self.term if time.monotonic() < self._trusted_until else None

    def resign(self) -> None:
        """Let somebody else take over at once."""
        if self.term is not None:
            bound = {"name": self.name, "holder": self.holder, "term": self.term}
            sql.change(_RESIGN, bound)
            sql.notify()
        self.term, self._trusted_until = None, 0.0

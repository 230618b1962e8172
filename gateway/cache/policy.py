"""What a tenant lets the cache do, as a plain value."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.strictness import DEFAULT, THRESHOLDS, Strictness

_MIB = 1024 * 1024
LONGEST_TTL_S = 90 * 86_400.0
"""Also how long an invalidation has to be remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """How answers are kept and when they are served."""

    enabled: bool = True
    strictness: Strictness = DEFAULT
    ttl_s: float = 86_400.0
    sliding: bool = False
    """Whether a hit gives an entry its whole time again; else it ends `ttl_s` after it began."""
    budget_bytes: int = 64 * _MIB
    """Of all entries of a tenant together."""
    shared_budget_bytes: int = 64 * _MIB
    """Of all entries that are shared between tenants: the platform's, whoever stores one."""
    largest_entry_bytes: int = _MIB
    shadow: bool = False
    """Serve nothing; count and list what would have been served."""
    similar_at_any_temperature: bool = False
    """Serve similar questions also where the caller asked for variety (temperature > 0.3)."""
    coalesce: bool = True
    wait_s: float = 30.0
    """How long a request waits for an identical one that is under way."""
    variant: str = ""
    """Part of the scope: what else shapes an answer, such as lossy compression to a budget."""

    @property
    def threshold(self) -> float:
        """Least probability of a similar hit."""
        return THRESHOLDS[Strictness(self.strictness)]

    @property
    def ttl_ms(self) -> int:
        """Whole milliseconds, at least one and at most `LONGEST_TTL_S`."""
        return max(1, int(min(self.ttl_s, LONGEST_TTL_S) * 1000))


DEFAULT_POLICY = CachePolicy()

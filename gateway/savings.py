"""What a call cost and what was saved, against a stated baseline. Pure, whole nano-dollars.

The baseline is what the priciest model that the policy allows for the class of the call would have
cost, with the prompt as it came and nothing cached. From it to what was paid:

    baseline − saved by compression − saved by routing − saved by the cache = cost

exactly. A call answered from the cache costs nothing; the cache saved what the model that once
made the answer would have cost, and routing the rest down from the baseline.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.pricing import Prices


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a call, as the provider reported them or as they were counted."""

    tokens_in: int
    tokens_out: int
    tokens_cached: int = 0
    """Of the prompt's, those that the provider had cached."""
    tokens_removed: int = 0
    """That compression took from the prompt before."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """Nano-dollars of a call; cost and savings add up to the baseline."""

    cost: int
    baseline: int
    saved_cache: int
    saved_routing: int
    saved_compression: int

    @property
    def saved(self) -> int:
        """All savings together."""
        return self.saved_cache + self.saved_routing + self.saved_compression


def amounts(usage: Usage, prices: Prices, baseline: Prices, *, hit: bool = False) -> Amounts:
    """The amounts of a call to a model at `prices`; `hit`: its answer came from the cache."""
    tokens = usage.tokens_in, usage.tokens_out, usage.tokens_cached
    paid, dearest = prices.cost(*tokens), baseline.cost(*tokens)
    removed = max(0, usage.tokens_removed)
    uncompressed = baseline.cost(usage.tokens_in + removed, *tokens[1:])
    return Amounts(
        cost=0 if hit else paid,
        baseline=uncompressed,
        saved_cache=paid if hit else 0,
        saved_routing=dearest - paid,
        saved_compression=uncompressed - dearest,
    )

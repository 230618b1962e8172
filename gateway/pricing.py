"""What tokens cost, in whole nano-dollars (1e-9 USD); exact, rounded once, half up."""

from __future__ import annotations

from dataclasses import dataclass

PER = 1_000_000
"""Tokens that a price is for."""

NANO = 1_000_000_000
"""Nano-dollars of a dollar."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Nano-dollars for a million tokens: of the prompt, the answer, the prompt when cached."""

    input: int
    output: int
    cached: int | None = None
    """None: cached tokens cost as much as the others."""

    def cost(self, tokens_in: int, tokens_out: int, tokens_cached: int = 0) -> int:
        """Nano-dollars of a call.

        `tokens_cached` are those of `tokens_in` that the provider had cached; more than there are
        count as all of them, and negative counts as none.
        """
        prompt, answer = max(0, tokens_in), max(0, tokens_out)
        cached = min(max(0, tokens_cached), prompt)
        cached_price = self.input if self.cached is None else self.cached
        total = (prompt - cached) * self.input + cached * cached_price + answer * self.output
        return (total + PER // 2) // PER

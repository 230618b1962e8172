"""What the router works with: models, needs of a call, rules of a policy, and its judgements."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.pricing import Prices


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model as the router sees it."""

    name: str
    provider: str
    prices: Prices
    context_window: int
    max_output: int
    quality: float
    tiers: tuple[str, ...] = ()
    """Empty: any tier."""
    tools: bool = False
    json: bool = False
    streaming: bool = True
    healthy: bool = True
    """False while the provider is disabled or its breaker open."""
    tokens_in: int | None = None
    """Of the prompt as this model counts; None: as the call's needs say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a call needs."""

    tokens_in: int
    """Of the prompt, for models that have no count of their own."""
    max_output: int
    """Tokens that the answer may have."""
    expected_output: int | None = None
    """Tokens that it probably has; None: as many as it may."""
    task_class: str = "simple"
    model: str = ""
    """Asked for by name: then no floor is asked of it. Empty: any."""
    tier: str = ""
    tools: bool = False
    json: bool = False
    streaming: bool = False
    cheap_suffices: float | None = None
    """Learned probability for this prompt; None: not known."""
    cheap_suffices_on_average: float = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a policy asks of the router."""

    call_budget: int | None
    """Nano-dollars that one call may be expected to cost; None: any."""
    quality_floor: float = 0.7
    allowed: frozenset[str] = frozenset()
    """Names of models; empty: all."""
    epsilon: float = 0.0
    fallbacks: int = 2


@dataclass(frozen=True, slots=True)
class Option:
    """A candidate judged for a call."""

    name: str
    provider: str
    quality: float
    """Expected of its answer to this prompt."""
    expected_cost: int
    """Nano-dollars, with the tokens that the answer probably has."""
    worst_cost: int
    """Nano-dollars, with all the tokens that the answer may have: what to reserve."""
    max_output: int
    """Tokens to ask for: as many as asked, as the model gives, and as fit."""
    refused: str = ""
    """Why it cannot be chosen; empty: it can."""
    tokens_in: int = 0
    """Of the prompt, as this model counts."""

"""Which model answers a call: hard filters, then the cheapest that is good enough. Pure.

A model is *able* when it passes every hard filter (asked for, tier, allowed, enabled, healthy,
tools, JSON, streaming, room for prompt and answer), *good enough* when the answer expected of it
meets the quality floor, and *affordable* when its expected cost is within the budget of the call's
class. Of those that are all three the cheapest answers and the next cheapest stand in for it;
there is no further way out, so that no budget and no floor is passed by silently.

Cost is expected with an answer as long as such calls have had: a class's budget bounds what calls
cost on average, not each one. What a call may cost at worst is what limits and hard budgets hold.

Expected quality for one prompt: a model's own quality tells how far it lies behind the best able
one on average. The learned probability that a cheap model suffices (:mod:`gateway.routing`) widens
that gap for prompts it thinks hard and closes it for easy ones; a prompt like the average leaves
it.

Exploration: with `draw` below `epsilon` another able and affordable model is tried, also one below
the floor, to learn from; never for critical calls, nor where a model was asked for by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.candidates import Candidate, Needs, Option, Rules
from gateway.pricing import NANO

__all__ = ["Candidate", "Needs", "NoRoute", "Option", "RouteDecision", "Rules", "route"]

CRITICAL = "critical"
MOST_TOLD = 20
"""Options that a decision tells of."""
FLOOR = "below the quality floor"
BUDGET = "beyond the budget of a call"


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """The model to call, those to try after it, and why."""

    chosen: Option
    fallbacks: tuple[Option, ...]
    baseline: str
    """The priciest able model within the budget: savings are told against it."""
    explored: bool
    cheap_suffices: float | None
    tokens_in: int
    reasons: tuple[str, ...]
    options: tuple[Option, ...] = field(repr=False, default=())

    @property
    def model(self) -> str:
        """The chosen model's name."""
        return self.chosen.name

    @property
    def provider(self) -> str:
        """Its provider's name."""
        return self.chosen.provider

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types, bounded."""
        return {
            "model": self.model,
            "provider": self.provider,
            "expected_cost": self.chosen.expected_cost,
            "worst_cost": self.chosen.worst_cost,
            "quality": round(self.chosen.quality, 4),
            "tokens_in": self.tokens_in,
            "max_output": self.chosen.max_output,
            "fallbacks": [option.name for option in self.fallbacks],
            "baseline": self.baseline,
            "explored": self.explored,
            "cheap_suffices": self.cheap_suffices,
            "reasons": list(self.reasons),
            "options": [
                {
                    "model": option.name,
                    "provider": option.provider,
                    "quality": round(option.quality, 4),
                    "expected_cost": option.expected_cost,
                    "refused": option.refused,
                }
                for option in self.options[:MOST_TOLD]
            ],
        }


class NoRoute(Exception):
    """No model may be called; `options` tells why of each."""

    def __init__(self, detail: str, options: Sequence[Option] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.options = tuple(options)


def route(
    candidates: Iterable[Candidate], needs: Needs, rules: Rules, draw: float = 1.0
) -> RouteDecision:
    """The decision for one call; `draw` is a random number from 0 to 1. Raises NoRoute."""
    judged = _judged(tuple(candidates), needs, rules)
    able = [option for option in judged if option.refused in {"", FLOOR}]
    good = sorted((option for option in able if not option.refused), key=_order)
    explored = _explored(able, good, needs, rules, draw)
    chosen = explored or (good[0] if good else None)
    if chosen is None:
        raise NoRoute(_no_route(judged, needs, rules), judged)
    others = [option for option in good if option is not chosen]
    # A provider that fails takes all its models along: others first.
    others.sort(key=lambda option: option.provider == chosen.provider)
    baseline = max(able, key=lambda option: (option.expected_cost, option.name))
    return RouteDecision(
        chosen,
        tuple(others[: rules.fallbacks]),
        baseline.name,
        explored is not None,
        needs.cheap_suffices,
        chosen.tokens_in,
        tuple(_reasons(chosen, judged, needs, rules, explored=explored is not None)),
        tuple(sorted(judged, key=lambda option: (bool(option.refused), *_order(option)))),
    )


def _order(option: Option) -> tuple[float, float, str]:
    return option.expected_cost, -option.quality, option.name


def _judged(candidates: Sequence[Candidate], needs: Needs, rules: Rules) -> list[Option]:
    refusals = [next(_refusals(each, needs, rules), "") for each in candidates]
    able = [each for each, refused in zip(candidates, refusals, strict=True) if not refused]
    best = max((each.quality for each in able), default=1.0)
    return [
        _option(each, best, needs, rules, refused)
        for each, refused in zip(candidates, refusals, strict=True)
    ]


def _refusals(candidate: Candidate, needs: Needs, rules: Rules) -> Iterator[str]:
    """Why a candidate is not able, hardest reasons first."""
    if needs.model and candidate.name != needs.model:
        yield "another model was asked for"
    if rules.allowed and candidate.name not in rules.allowed:
        yield "the policy does not allow it"
    if needs.tier and candidate.tiers and needs.tier not in candidate.tiers:
        yield f"not of tier {needs.tier}"
    for wanted in ("tools", "json", "streaming"):
        if getattr(needs, wanted) and not getattr(candidate, wanted):
            yield f"no {wanted}"
    if candidate.context_window - _tokens_in(candidate, needs) < 1:
        yield f"the prompt exceeds its {candidate.context_window:,} tokens"
    if not candidate.healthy:
        yield "its provider is unavailable"


def _option(candidate: Candidate, best: float, needs: Needs, rules: Rules, refused: str) -> Option:
    tokens_in = _tokens_in(candidate, needs)
    most = max(1, min(needs.max_output, candidate.max_output, candidate.context_window - tokens_in))
    likely = most if needs.expected_output is None else min(most, needs.expected_output)
    cost = candidate.prices.cost(tokens_in, likely)
    quality = expected_quality(candidate.quality, best, needs)
    if not refused and rules.call_budget is not None and cost > rules.call_budget:
        refused = BUDGET
    if not refused and quality < rules.quality_floor and not needs.model:
        refused = FLOOR
    worst = candidate.prices.cost(tokens_in, most)
    name, provider = candidate.name, candidate.provider
    return Option(name, provider, quality, cost, worst, most, refused, tokens_in)


def _tokens_in(candidate: Candidate, needs: Needs) -> int:
    return needs.tokens_in if candidate.tokens_in is None else candidate.tokens_in


def expected_quality(quality: float, best: float, needs: Needs) -> float:
    """What to expect of a model for this prompt, where the best able one has `best`."""
    if needs.cheap_suffices is None or quality >= best:
        return quality
    average = min(0.999, max(0.001, needs.cheap_suffices_on_average))
    stretch = (1 - needs.cheap_suffices) / (1 - average)
    return max(0.0, best - (best - quality) * stretch)


def _explored(
    able: Sequence[Option], good: Sequence[Option], needs: Needs, rules: Rules, draw: float
) -> Option | None:
    """Another model to learn from, each equally likely; None: the best is taken."""
    if draw >= rules.epsilon or needs.task_class == CRITICAL or needs.model:
        return None
    others = sorted((option for option in able if option not in good[:1]), key=_order)
    if not good or not others:
        return None
    return others[min(len(others) - 1, int(draw / rules.epsilon * len(others)))]


def dollars(nano: int) -> str:
    """Nano-dollars for people."""
    return f"${nano / NANO:.9f}".rstrip("0").rstrip(".") if nano else "$0"


def _reasons(
    chosen: Option, judged: Sequence[Option], needs: Needs, rules: Rules, *, explored: bool
) -> Iterator[str]:
    count = sum(not option.refused for option in judged)
    if explored:
        yield f"tried to learn from it: {rules.epsilon:.0%} of the calls explore"
    elif needs.model:
        yield "asked for by name"
    else:
        yield f"the cheapest of {count} good enough and affordable, of {len(judged)} known"
        yield f"expected quality {chosen.quality:.2f}, wanted {rules.quality_floor:.2f}"
    yield f"expected cost {dollars(chosen.expected_cost)}, {_budget(needs, rules)}"
    if needs.cheap_suffices is not None:
        average = f"{needs.cheap_suffices_on_average:.0%} on average"
        yield f"a cheap model suffices with probability {needs.cheap_suffices:.0%}, {average}"


def _budget(needs: Needs, rules: Rules) -> str:
    if rules.call_budget is None:
        return "the call has no budget of its own"
    return f"a {needs.task_class} call may cost {dollars(rules.call_budget)}"


def _no_route(judged: Sequence[Option], needs: Needs, rules: Rules) -> str:
    if not judged:
        return "there is no enabled model: add one, or enable it"
    if needs.model and all(option.name != needs.model for option in judged):
        return f"there is no model '{needs.model[:100]}': ask for one that the list of models names"
    asked = [option for option in judged if not needs.model or option.name == needs.model]
    counted: dict[str, list[str]] = {}
    for option in asked:
        counted.setdefault(option.refused, []).append(option.name)
    told = "; ".join(
        f"{reason}: {', '.join(sorted(names)[:5])}" for reason, names in list(counted.items())[:5]
    )
    if BUDGET in counted:
        least = min(option.expected_cost for option in asked if option.refused == BUDGET)
        told += f"; {_budget(needs, rules)}, the cheapest of these {dollars(least)}"
    return f"no model may answer this {needs.task_class} call ({told})"

"""The step that chooses a model, and the candidates to fall back on."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import replace
from threading import Lock

from gateway import catalogue, sufficiency
from gateway.caching import on_trial
from gateway.errors import ContextTooLong, ModelUnknown, NoModel, Refused
from gateway.models import LanguageModel
from gateway.pipe import measuring
from gateway.pipe.exchange import Exchange
from gateway.router import BUDGET, FLOOR, Needs, NoRoute, Option, RouteDecision, route

FIRST_GUESS = 200.0
"""Tokens of an answer of which nothing is known."""
_WEIGHT = 0.1
_MOST_REMEMBERED = 10_000


class Expectation:
    """How long answers usually are, by tenant, definition and class; a running mean."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._means: dict[tuple[str, str, str], float] = {}

    def forget(self) -> None:
        """Know nothing again: between tests."""
        with self._lock:
            self._means.clear()

    def of(self, x: Exchange) -> int:
        """Tokens to expect."""
        return round(self._means.get(_kind(x), FIRST_GUESS))

    def learn(self, x: Exchange, tokens: int) -> None:
        """One more answer."""
        with self._lock:
            if len(self._means) >= _MOST_REMEMBERED:
                self._means.clear()
            mean = self._means.get(_kind(x), FIRST_GUESS)
            self._means[_kind(x)] = mean + _WEIGHT * (tokens - mean)


EXPECTATION = Expectation()


def _kind(x: Exchange) -> tuple[str, str, str]:
    return x.request.tenant, x.request.definition or "", x.request.taken_as


def decide(x: Exchange) -> RouteDecision:
    """The model to call and those to try after it.

    Raises ModelUnknown, ContextTooLong, Refused or NoModel.
    """
    request, policy = x.request, x.policy
    rows = catalogue.view().models_of(x.tenant_id)
    if request.model and request.model not in {row.name for row in rows}:
        raise ModelUnknown(
            f"there is no model {request.model[:100]!r}: GET /v1/models lists those there are",
            param="model",
        )
    resting = x.around.breakers.resting()
    fitted = _fitted(x, rows)
    x.tokens_in = max(fitted.values(), default=0)
    candidates = [
        replace(catalogue.candidate(row, resting), tokens_in=fitted.get(row.name)) for row in rows
    ]
    rules = catalogue.rules_of(policy, request.taken_as)
    if request.model and request.task_class is None:
        rules = replace(rules, call_budget=None)  # who names a model has chosen its price
    if all(on_trial(row) for row in rows):
        rules = replace(rules, quality_floor=0.0)  # nothing but trials: better than no answer
    try:
        decision = route(candidates, _needs(x), rules, random.random())
    except NoRoute as error:
        raise _refusal(x, error, rows) from error
    x.tokens_in = decision.tokens_in
    return decision


def _fitted(x: Exchange, rows: Sequence[LanguageModel]) -> dict[str, int]:
    """Tokens of the prompt for each model that may be called, once it is shortened."""
    budget = x.policy.token_budget if x.policy.compress else None
    named = [row for row in rows if x.request.model in {None, "", row.name}]
    return {name: size.within(budget).upper for name, size in measuring.sizes(x, named).items()}


def _needs(x: Exchange) -> Needs:
    request = x.request
    learned = sufficiency.current()
    kind = (request.response_format or {}).get("type", "text")
    return Needs(
        tokens_in=x.tokens_in,
        max_output=request.max_tokens or x.policy.max_output,
        expected_output=EXPECTATION.of(x),
        task_class=request.taken_as,
        model=request.model or "",
        tier=request.tier,
        tools=bool(request.tools),
        json=kind in {"json_object", "json_schema"},
        streaming=request.stream,
        cheap_suffices=None if request.model else learned.probability(request.question),
        cheap_suffices_on_average=learned.average,
    )


def _refusal(x: Exchange, error: NoRoute, rows: Sequence[LanguageModel]) -> Exception:
    asked = [each for each in error.options if not x.request.model or each.name == x.request.model]
    reasons = {each.refused for each in asked}
    if reasons and all("prompt exceeds" in reason for reason in reasons):
        names = {each.name for each in asked}
        most = max(row.context_window for row in rows if row.name in names)
        return ContextTooLong(
            f"the prompt has about {x.tokens_in:,} tokens, more than any model reads that may be "
            f"called ({most:,}): shorten it",
            param="messages",
        )
    if not rows or any("unavailable" in reason for reason in reasons):
        return NoModel(error.detail, retry_after=5.0)
    told = f"{error.detail}: {_way_out(x, reasons)}"
    return Refused(told, param="model", code="no_suitable_model")


def _way_out(x: Exchange, reasons: Collection[str]) -> str:
    """What the caller can do about it."""
    policy, found = f"the gateway policy '{x.policy.name}'", []
    if BUDGET in reasons and x.request.taken_as != "critical":
        found.append("say ansf.task_class complex or critical")
    if BUDGET in reasons:
        found.append(f"raise {x.request.taken_as}_budget of {policy}")
    if FLOOR in reasons:
        found.append(f"lower quality_floor of {policy}")
    if not x.request.model:
        found.append("ask for a model by name")
    elif BUDGET in reasons:
        found.append("leave ansf.task_class out")
    return ", or ".join(found) or f"ask for another model, or change {policy}"


def row_of(x: Exchange, option: Option) -> LanguageModel:
    """The row behind an option."""
    row = catalogue.view().model(x.tenant_id, option.name)
    if row is None or not row.provider.enabled:  # changed in this very second
        raise NoModel(f"model {option.name!r} was just disabled: try again", retry_after=1.0)
    return row

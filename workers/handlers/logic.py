"""Handlers for what is watched and expected: formulas on traces, forecasts, packed trees.

Each takes a batch, because a message costs more than an item. Between items it looks whether it
was cancelled, says how far it is, and stops before its time limit would kill it. An item that
cannot be judged gets its reason (`error`); the others stand. JSON knows no infinity: a robustness
of ±∞ is given as the largest number of its sign, ±1.8e308.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from celery import shared_task
from numpy.typing import NDArray

from kernels import forecast, temporal_logic, trees
from workers.context import GiveUp
from workers.handlers.looking import each

MAX_ITEMS = 10_000
MAX_FORMULAS = 100
MAX_SAMPLES = 2_000_000
"""Of all traces of a task together, per formula."""

MAX_VALUES = 500_000
"""In one answer: about 10 MB of JSON."""

MAX_ROWS = 100_000

_LARGEST = sys.float_info.max
_REFERENCE: dict[str, Any] = {"type": "object", "required": ["$from"]}
_MANY: dict[str, Any] = {
    "anyOf": [{"type": "array", "minItems": 1, "maxItems": MAX_ITEMS}, _REFERENCE]
}
_FORMULAS: dict[str, Any] = {
    "type": "array",
    "items": {"type": "string"},
    "minItems": 1,
    "maxItems": MAX_FORMULAS,
}
_PERIOD: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": forecast.MAX_PERIOD}
_HORIZON: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": forecast.MAX_HORIZON}
_SEASON: dict[str, Any] = {"enum": ["additive", "multiplicative"]}


def _payload(required: Sequence[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "additionalProperties": False,
        "properties": properties,
    }


SCHEMAS: dict[str, dict[str, Any]] = {
    "logic.check_each": _payload(["formulas", "traces"], formulas=_FORMULAS, traces=_MANY),
    "logic.verdict_each": _payload(["formulas", "traces"], formulas=_FORMULAS, traces=_MANY),
    "logic.robustness_each": _payload(
        ["formula", "traces"], formula={"type": "string"}, traces=_MANY
    ),
    "forecast.each": _payload(
        ["series", "horizon"],
        series=_MANY,
        horizon=_HORIZON,
        period=_PERIOD,
        season=_SEASON,
        probability={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    ),
    "forecast.compare_each": _payload(
        ["series", "horizon"],
        series=_MANY,
        horizon=_HORIZON,
        period=_PERIOD,
        season=_SEASON,
        folds={"type": "integer", "minimum": 1, "maximum": 100},
    ),
    "trees.predict": _payload(
        ["model", "rows"], model={"type": "object"}, rows={"anyOf": [{"type": "array"}, _REFERENCE]}
    ),
}

Trace = dict[str, list[float]] | list[Any]


@shared_task(name="logic.check_each")
def check_each(formulas: list[str], traces: list[Trace]) -> dict[str, Any]:
    """For each trace and formula: whether it holds, by how much, and why not."""
    parsed = _parsed(formulas)
    _check_size(traces, MAX_SAMPLES)
    return {"checks": _each(traces, "traces", lambda trace: [_check(f, trace) for f in parsed])}


@shared_task(name="logic.verdict_each")
def verdict_each(formulas: list[str], traces: list[Trace]) -> dict[str, Any]:
    """For each trace, which may go on, and formula: the verdicts of three and four values."""
    parsed = _parsed(formulas)
    _check_size(traces, MAX_SAMPLES)

    def judge(trace: Trace) -> list[dict[str, Any]]:
        return [asdict(temporal_logic.verdict(formula, trace)) for formula in parsed]

    return {"verdicts": _each(traces, "traces", judge)}


@shared_task(name="logic.robustness_each")
def robustness_each(formula: str, traces: list[Trace]) -> dict[str, Any]:
    """The robustness of each trace at each of its samples."""
    [parsed] = _parsed([formula])
    _check_size(traces, MAX_VALUES)
    return {
        "robustness": _each(
            traces, "traces", lambda trace: _finite(temporal_logic.robustness(parsed, trace))
        )
    }


@shared_task(name="forecast.each")
def forecast_each(
    series: list[list[float]],
    horizon: int,
    period: int = 1,
    season: forecast.Season = "additive",
    probability: float = 0.95,
) -> dict[str, Any]:
    """Holt-Winters for each series: values and bounds."""
    _check_size(series, MAX_SAMPLES)
    if 3 * horizon * len(series) > MAX_VALUES:
        raise GiveUp(
            f"{len(series)} forecasts of {horizon} values are more than {MAX_VALUES} numbers: "
            "split the task"
        )

    def made(one: list[float]) -> dict[str, Any]:
        found = forecast.holt_winters(one, horizon, period, season, probability)
        return {
            "values": found.values.tolist(),
            "lower": found.lower.tolist(),
            "upper": found.upper.tolist(),
            "shares": list(found.shares),
            "deviation": found.deviation,
        }

    return {"forecasts": _each(series, "series", made)}


@shared_task(name="forecast.compare_each")
def compare_each(
    series: list[list[float]],
    horizon: int,
    period: int = 1,
    season: forecast.Season = "additive",
    folds: int = 5,
) -> dict[str, Any]:
    """For each series the methods' accuracy on its own past, the best first."""
    _check_size(series, MAX_SAMPLES)
    if folds * horizon * len(series) > MAX_VALUES:
        raise GiveUp(
            f"{folds} stretches of {horizon} values of {len(series)} series are more than "
            f"{MAX_VALUES}: split the task, or take fewer folds"
        )

    def compared(one: list[float]) -> list[dict[str, Any]]:
        found = forecast.compare(one, horizon, period, folds, season)
        return [
            {"method": name, **{k: _number(v) for k, v in asdict(accuracy).items()}}
            for name, accuracy in found.items()
        ]

    return {"comparisons": _each(series, "series", compared)}


@shared_task(name="trees.predict")
def predict(model: dict[str, Any], rows: list[list[float | None]]) -> dict[str, Any]:
    """What a packed ensemble says of each row; null is a missing value."""
    if len(rows) > MAX_ROWS:
        raise GiveUp(f"{len(rows)} rows are more than {MAX_ROWS}: split the task")
    try:
        packed = trees.from_dict(model)
        table = np.array(rows, np.float64).reshape(len(rows), -1)
        answer = {"predictions": packed.predict(table).tolist()}
        if packed.labels:
            answer["labels"] = list(packed.labels)
            answer["probabilities"] = packed.probabilities(table).tolist()
    except (TypeError, ValueError) as error:
        raise GiveUp(str(error)) from error
    return answer


def _check(formula: temporal_logic.Formula, trace: Trace) -> dict[str, Any]:
    found = temporal_logic.explain(formula, trace)
    return {
        "satisfied": found is None,
        "robustness": _finite(temporal_logic.robustness(formula, trace)[:1])[0],
        "violation": None
        if found is None
        else asdict(found) | {"values": {k: _number(v) for k, v in found.values.items()}},
    }


def _parsed(formulas: list[str]) -> list[temporal_logic.Formula]:
    if len(formulas) > MAX_FORMULAS:
        raise GiveUp(f"{len(formulas)} formulas are more than {MAX_FORMULAS}: split the task")
    try:
        return [temporal_logic.parse(text) for text in formulas]
    except ValueError as error:
        raise GiveUp(str(error)) from error


def _check_size(items: Sequence[Any], most: int) -> None:
    if len(items) > MAX_ITEMS:
        raise GiveUp(f"{len(items)} items are more than {MAX_ITEMS}: split the task")
    samples = sum(_length(item) for item in items)
    if samples > most:
        raise GiveUp(f"{samples} samples are more than {most}: split the task")


def _length(item: Any) -> int:
    """Samples of a trace or a series; what is neither is refused item by item later."""
    columns = list(item.values()) if isinstance(item, dict) else [item]
    return sum(len(column) for column in columns if isinstance(column, list))


def _each(items: Sequence[Any], what: str, work: Callable[[Any], Any]) -> list[Any]:
    """The result of each item, or {"error": why there is none}."""
    found = []
    for item in each(items, what):
        try:
            found.append(work(item))
        except ValueError as error:
            found.append({"error": str(error)})
    return found


def _finite(values: NDArray[np.float64]) -> list[float]:
    clipped: list[float] = np.clip(values, -_LARGEST, _LARGEST).tolist()
    return clipped


def _number(value: float) -> float:
    return max(-_LARGEST, min(_LARGEST, value))

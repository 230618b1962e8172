"""Handlers that measure many windows in one task: what a message costs is paid once.

Windows are a list of series, or one long series cut into equal windows. Between windows each
handler looks whether it was cancelled, says how far it is, and stops before its time limit would
kill it, between measures too. A window that cannot be measured gets its reason instead of figures;
the others stand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from celery import shared_task

from kernels import attractor
from workers.context import GiveUp, current_or_none
from workers.handlers.looking import each, look_up

MAX_WINDOWS = 10_000
MAX_SAMPLES = 1_000_000
"""Of all windows together."""

MAX_VALUES = 500_000
"""Numbers in one answer: about 10 MB of JSON."""


_REFERENCE: dict[str, Any] = {"type": "object", "required": ["$from"]}
_WINDOWS: dict[str, Any] = {
    "windows": {"anyOf": [{"type": "array", "minItems": 1, "maxItems": MAX_WINDOWS}, _REFERENCE]},
    "series": {"anyOf": [{"type": "array", "minItems": 1, "maxItems": MAX_SAMPLES}, _REFERENCE]},
    "length": {"type": "integer", "minimum": 1},
    "step": {"type": "integer", "minimum": 1},
}

MEASURES: dict[str, Callable[..., Any]] = {
    name: getattr(attractor, name)
    for name in (
        "average_mutual_information",
        "choose_dimension",
        "choose_lag",
        "correlation_dimension",
        "delay_embed",
        "dfa",
        "hurst_rs",
        "lyapunov_kantz",
        "lyapunov_rosenstein",
        "multiscale_entropy",
        "permutation_entropy",
        "recurrence",
        "sample_entropy",
        "surrogates",
        "zero_one_chaos",
    )
}
_LARGE = {"delay_embed": ("dimension", 1), "surrogates": ("count", 19)}
"""The option that says how many numbers each sample is answered with, and its usual value."""

SCHEMAS: dict[str, dict[str, Any]] = {
    "attractor.analyze_each": {
        "type": "object",
        "required": [],
        "additionalProperties": False,
        "properties": {
            **_WINDOWS,
            "mode": {"enum": ["fast", "normal", "deep"]},
            "sample_interval": {"type": "number", "exclusiveMinimum": 0},
        },
    },
    "attractor.measure_each": {
        "type": "object",
        "required": ["measures"],
        "additionalProperties": False,
        "properties": {
            **_WINDOWS,
            "measures": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"enum": sorted(MEASURES)},
                "additionalProperties": {"type": "object"},
            },
        },
    },
}


@shared_task(name="attractor.analyze_each")
def analyze_each(
    windows: list[list[float]] | None = None,
    *,
    series: list[float] | None = None,
    length: int | None = None,
    step: int | None = None,
    mode: attractor.Mode = "fast",
    sample_interval: float = 1.0,
) -> dict[str, Any]:
    """One report per window, in order."""

    def analyze(window: list[float]) -> dict[str, Any]:
        return attractor.analyze(window, mode, sample_interval).as_dict()

    return {"reports": list(_each(_cut(windows, series, length, step), analyze))}


@shared_task(name="attractor.measure_each")
def measure_each(
    measures: dict[str, dict[str, Any]],
    windows: list[list[float]] | None = None,
    *,
    series: list[float] | None = None,
    length: int | None = None,
    step: int | None = None,
) -> dict[str, Any]:
    """For each window the chosen `measures`, by name, each with its own keyword arguments."""
    unknown = sorted(set(measures) - set(MEASURES))
    if unknown:
        raise GiveUp(f"no measure {unknown[0]!r}; choose from {', '.join(sorted(MEASURES))}")
    cut = _cut(windows, series, length, step)
    _check_answer(_foreseen(measures, sum(map(len, cut))))
    answered = 0

    def measure(window: list[float]) -> dict[str, Any]:
        nonlocal answered
        figures = {}
        for name, ask in measures.items():
            look_up("within a window")
            found = MEASURES[name](window, **ask)
            answered += _numbers(found)
            _check_answer(answered)
            figures[name] = as_json(found)
        return figures

    return {"figures": list(_each(cut, measure))}


def _foreseen(measures: dict[str, dict[str, Any]], samples: int) -> int:
    """At least so many numbers are asked for."""
    chosen = [measures[name].get(*_LARGE[name]) for name in measures if name in _LARGE]
    return sum(count * samples for count in chosen if isinstance(count, int))


def _numbers(found: Any) -> int:
    """How many there are in what a kernel returned."""
    if is_dataclass(found):
        return sum(_numbers(getattr(found, field.name)) for field in fields(found))
    return int(np.size(found)) if isinstance(found, np.ndarray | list | tuple) else 1


def _check_answer(numbers: int) -> None:
    if numbers > MAX_VALUES:
        raise GiveUp(
            f"the answer would hold more than {MAX_VALUES} numbers: split the task, or ask for less"
        )


def _each(
    windows: list[list[float]], work: Callable[[list[float]], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    failed = 0
    for window in each(windows, "windows"):
        try:
            yield work(window)
        except (ValueError, TypeError) as error:  # TypeError: an argument no measure has
            failed += 1
            yield {"error": str(error)}
    context = current_or_none()
    if context is not None:
        context.log(f"{len(windows)} windows, {failed} could not be measured")


def _cut(
    windows: list[list[float]] | None,
    series: list[float] | None,
    length: int | None,
    step: int | None,
) -> list[list[float]]:
    """The windows as given, or of `series`: `length` samples every `step` (default: no overlap)."""
    if (windows is None) == (series is None):
        raise GiveUp("pass either windows, or one series with the length of its windows")
    if series is not None:
        if length is None or not 0 < length <= len(series):
            raise GiveUp(f"length is {length}; pass 1 to {len(series)} samples per window")
        starts = range(0, len(series) - length + 1, step or length)
        windows = [series[start : start + length] for start in starts[: MAX_WINDOWS + 1]]
    found = windows or []
    if not all(isinstance(window, list) for window in found):
        raise GiveUp("windows must be a list of lists of numbers")
    samples = sum(map(len, found))
    if len(found) > MAX_WINDOWS or samples > MAX_SAMPLES:
        raise GiveUp(
            f"{len(found)} windows with {samples} samples are more than a task takes "
            f"({MAX_WINDOWS} and {MAX_SAMPLES}): split it"
        )
    return found


def as_json(value: Any) -> Any:
    """Plain JSON of what a kernel returned; null stands for infinite."""
    if is_dataclass(value):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray | np.generic):
        return as_json(value.tolist())
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

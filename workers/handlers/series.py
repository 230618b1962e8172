"""Handlers on time series: thin, typed doors to the kernels."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from kernels import attractor, dtw, embedding
from workers.context import GiveUp, current_or_none
from workers.handlers.elastic import check_work, closest

MAX_SAMPLES = 1_000_000
MAX_CANDIDATES = 10_000
_SERIES: dict[str, Any] = {
    "type": "array",
    "items": {"type": "number"},
    "minItems": 1,
    "maxItems": MAX_SAMPLES,
}
# A reference to another node's result stands where a series may stand.
_OR_REFERENCE: dict[str, Any] = {
    "anyOf": [{"type": "array"}, {"type": "object", "required": ["$from"]}]
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "attractor.analyze": {
        "type": "object",
        "required": ["series"],
        "additionalProperties": False,
        "properties": {
            "series": {"anyOf": [_SERIES, {"type": "object", "required": ["$from"]}]},
            "mode": {"enum": ["fast", "normal", "deep"]},
            "sample_interval": {"type": "number", "exclusiveMinimum": 0},
        },
    },
    "dtw.nearest": {
        "type": "object",
        "required": ["query", "candidates"],
        "additionalProperties": False,
        "properties": {
            "query": _OR_REFERENCE,
            "candidates": _OR_REFERENCE,
            "window": {"type": ["integer", "null"], "minimum": 0},
            "k": {"type": "integer", "minimum": 1, "maximum": 1000},
        },
    },
    "features.embed": {
        "type": "object",
        "required": ["series"],
        "additionalProperties": False,
        "properties": {"series": {"anyOf": [_SERIES, {"type": "object", "required": ["$from"]}]}},
    },
}


@shared_task(name="attractor.analyze")
def analyze(
    series: list[float], mode: attractor.Mode = "normal", sample_interval: float = 1.0
) -> dict[str, Any]:
    """Classify a series: kind, largest Lyapunov exponent, entropy, evidence."""
    try:
        return attractor.analyze(series, mode, sample_interval).as_dict()
    except ValueError as error:
        raise GiveUp(str(error)) from error


@shared_task(name="dtw.nearest")
def nearest(
    query: list[float],
    candidates: list[list[float]],
    window: int | None = None,
    k: int = 1,
) -> dict[str, Any]:
    """The k candidates closest to the query under dynamic time warping."""
    if len(candidates) > MAX_CANDIDATES:
        raise GiveUp(f"{len(candidates)} candidates are more than {MAX_CANDIDATES}: split the task")
    try:
        others, asked = dtw.collect(candidates), dtw.collect([query], "query")
        check_work(asked, others, window)
        found = closest(asked.points(0), others, window, k)
    except ValueError as error:
        raise GiveUp(str(error)) from error
    context = current_or_none()
    if context is not None:
        context.log(f"{len(candidates)} candidates, nearest at {found['distances'][0]:.4g}")
    return found


@shared_task(name="features.embed")
def embed(series: list[float]) -> dict[str, Any]:
    """The 384 features of a series."""
    try:
        return {"vector": embedding.seed_features(series).tolist()}
    except ValueError as error:
        raise GiveUp(str(error)) from error

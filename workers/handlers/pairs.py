"""``dtw.compare_each``: pairs of series, each by the elastic measure that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import shared_task

from kernels import dtw
from workers.context import GiveUp
from workers.handlers.looking import each

MAX_PAIRS = 10_000
MAX_CELLS = 20_000_000_000
"""Of all alignments of a task: about a minute of the slowest measure."""
MAX_PATH_SAMPLES = 250_000
"""Of all alignments whose paths are wanted."""

MEASURES: dict[str, Callable[..., float]] = {
    "ddtw": dtw.ddtw, "dtw": dtw.dtw_distance, "msm": dtw.msm, "wdtw": dtw.wdtw,
}  # fmt: skip
SCHEMAS: dict[str, dict[str, Any]] = {
    "dtw.compare_each": {
        "type": "object",
        "required": ["pairs"],
        "additionalProperties": False,
        "properties": {
            "pairs": {
                "anyOf": [
                    {"type": "array", "minItems": 1, "maxItems": MAX_PAIRS},
                    {"type": "object", "required": ["$from"]},
                ]
            },
            "measure": {"enum": sorted(MEASURES)},
            "window": {"type": ["integer", "null"], "minimum": 0},
            "g": {"type": "number"},
            "c": {"type": "number", "minimum": 0},
            "paths": {"type": "boolean"},
        },
    },
}


@shared_task(name="dtw.compare_each")
def compare_each(
    pairs: list[list[list[float]]], measure: str = "dtw", window: int | None = None,
    *, g: float | None = None, c: float | None = None, paths: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """The distance of each pair, with `paths` also the aligned samples (of "dtw" alone).

    `g` is the steepness of "wdtw", `c` what "msm" pays for a split. A pair that cannot be
    compared gets its reason.
    """
    _check(pairs, measure, window, g, c, paths=paths)
    extra = {name: value for name, value in (("g", g), ("c", c)) if value is not None}
    found: list[dict[str, Any]] = []
    for first, second in each(pairs, "pairs"):
        try:
            found.append(_compare(first, second, measure, window, paths=paths, **extra))
        except ValueError as error:
            found.append({"error": str(error)})
    return {"comparisons": found}


def _compare(
    first: list[float], second: list[float], measure: str, window: int | None,
    *, paths: bool, **extra: float,
) -> dict[str, Any]:  # fmt: skip
    if paths:
        aligned = dtw.dtw_path(first, second, window)
        return {"distance": aligned.distance, "path": aligned.pairs.tolist()}
    return {"distance": MEASURES[measure](first, second, window, **extra)}


def _check(
    pairs: list[Any], measure: str, window: int | None, g: float | None, c: float | None,
    *, paths: bool,
) -> None:  # fmt: skip
    """Raises GiveUp for what could never work, or would take too long."""
    if measure not in MEASURES:
        raise GiveUp(f"no measure {measure!r}; choose from {', '.join(sorted(MEASURES))}")
    for name, value, own in (("g", g, "wdtw"), ("c", c, "msm"), ("paths", paths or None, "dtw")):
        if value is not None and measure != own:
            raise GiveUp(f"{name} belongs to the measure {own!r}, not to {measure!r}")
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):  # noqa: PLR2004
        raise GiveUp("pairs must be a list of [series, series]")
    if not all(isinstance(series, list) for pair in pairs for series in pair):
        raise GiveUp("each pair must be two lists of numbers")
    cells = sum(_cells(len(x), len(y), window) for x, y in pairs)
    samples = sum(len(x) + len(y) for x, y in pairs) if paths else 0
    if len(pairs) > MAX_PAIRS or cells > MAX_CELLS or samples > MAX_PATH_SAMPLES:
        raise GiveUp(
            f"{len(pairs)} pairs of {cells:.1e} cells are more than a task takes ({MAX_PAIRS}, "
            f"{MAX_CELLS:.0e}; with paths {MAX_PATH_SAMPLES} samples): split it"
        )


def _cells(first: int, second: int, window: int | None) -> int:
    band = second if window is None else 2 * window + 1 + abs(first - second)
    return first * min(second, band)

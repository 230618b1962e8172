"""The stages that look at windows: embed and match, and the forecast of the last step."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from timeit import default_timer
from typing import Any

import numpy as np

from kernels import forecast
from kernels.series import Floats
from patterns import memory
from patterns.encoders import MAX_SAMPLES, MAX_SERIES
from patterns.models import Namespace
from workers.streaming.plan import Plan, Stage

FALSE_ALARMS = 0.001
"""Share of the windows that follow their past and are called unexpected nevertheless."""


@dataclass(slots=True)
class Found:
    """What the stages say of a window; None where a stage was not asked or was left out."""

    pattern: int | None = None
    score: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    residual: float | None = None
    """The largest error of the forecast, in half widths of its interval."""
    missed: list[Stage] = field(default_factory=list)
    """Stages that were left out."""

    def reasons(self, least: float) -> list[str]:
        """Why the window is an anomaly; empty when it is none."""
        found = []
        if self.score is not None and self.score < least:
            found.append("unknown")
        if self.residual is not None and self.residual > 1:
            found.append("unexpected")
        return found

    def as_dict(self) -> dict[str, Any]:
        """What a task answers."""
        return {
            "pattern": self.pattern,
            "score": self.score,
            "metadata": dict(self.metadata),
            "residual": self.residual,
        }


class Judge:
    """Judges windows; `seconds` tells what each stage has cost so far."""

    def __init__(self, plan: Plan, namespace: Namespace | None) -> None:
        self.plan = plan
        self.namespace = namespace
        self.seconds: dict[Stage, float] = dict.fromkeys(plan.stages, 0.0)

    def judge(
        self, windows: Sequence[Floats], without: Mapping[Stage, Collection[int]] | None = None
    ) -> list[Found]:
        """What is found in each window, except in the places that a stage is to leave out."""
        found = [Found() for _ in windows]
        calls = {"match": self._match, "forecast": self._forecast}
        for stage in self.plan.stages:
            skipped = set((without or {}).get(stage, ()))
            for place in skipped:
                found[place].missed.append(stage)
            begun = default_timer()
            places = [place for place in range(len(windows)) if place not in skipped]
            calls[stage](windows, places, found)
            self.seconds[stage] += default_timer() - begun
        return found

    def _match(self, windows: Sequence[Floats], places: list[int], found: list[Found]) -> None:
        assert self.namespace is not None  # noqa: S101 - the stage was asked for
        together = max(1, min(MAX_SERIES, MAX_SAMPLES // self.plan.length))
        for start in range(0, len(places), together):
            part = places[start : start + together]
            answers = memory.search_series(self.namespace, [windows[place] for place in part], 1)
            for place, hits in zip(part, answers, strict=True):
                one = found[place]
                one.score = -1.0  # of an empty memory: nothing is known
                if hits:
                    one.pattern, one.score = hits[0].id, float(hits[0].score)
                    one.metadata = hits[0].metadata

    def _forecast(self, windows: Sequence[Floats], places: list[int], found: list[Found]) -> None:
        for place in places:
            found[place].residual = residual(self.plan, windows[place])


def residual(plan: Plan, window: Floats) -> float:
    """The largest error of the last step's forecast, in half widths; 0 where nothing can be said.

    The interval holds all samples of the step together with the probability 1 - FALSE_ALARMS. With
    a season of p samples it is wider than the forecast's own: what p figures were learnt from, the
    first two seasons of n samples, is hit with half the variance, and what comes with 1.5 of it.
    """
    past, came = window[: plan.past], window[plan.past :]
    probability = 1 - FALSE_ALARMS / plan.step
    made = forecast.holt_winters(past, plan.step, plan.period, probability=probability)
    half = (made.upper - made.lower) / 2
    if plan.period > 1:
        half *= math.sqrt(1.5 * past.size / (1.5 * past.size - 2 * plan.period))
    # A constant past has no width; then what counts is whether it goes on, up to rounding.
    half = np.maximum(half, 1e-9 * np.maximum(1.0, np.abs(made.values)))
    largest = float(np.max(np.abs(came - made.values) / half))
    return min(largest, 1e9)

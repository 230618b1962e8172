"""What the run found about each series, read from its results and put into words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coordination.models import Run, RunNode, Task
from coordination.selectors import result_of
from dashboard.demo.graph import name_of, summary_of
from dashboard.demo.judging import LIMIT
from dashboard.demo.windows import Cutting


@dataclass(frozen=True, slots=True)
class Verdict:
    """One window as its flag task judged it; first and last sample count in the source from 0."""

    index: int
    first: int
    last: int
    nearest: int
    nearest_first: int
    nearest_last: int
    distance: float
    distance_score: float
    feature_score: float
    kind: str
    discordant: bool
    reasons: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What is wrong with it and why, in one sentence."""
        return f"samples {self.first}-{self.last} are like no other part: " + "; ".join(
            self.reasons
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """A series with every window judged."""

    cutting: Cutting
    verdicts: tuple[Verdict, ...]
    least_typical: int
    verified: int
    kinds: Mapping[str, int]
    median_distance: float

    @property
    def discordant(self) -> tuple[Verdict, ...]:
        """The discordant windows, the strangest first."""
        found = [verdict for verdict in self.verdicts if verdict.discordant]
        return tuple(sorted(found, key=strangeness, reverse=True))

    @property
    def headline(self) -> str:
        """What was looked at and how many windows are discordant."""
        cutting, count = self.cutting, len(self.discordant)
        verb = "is" if count == 1 else "are"
        return (
            f"{count} of {len(self.verdicts)} windows of {cutting.length * cutting.block} samples "
            f"{verb} discordant (modified z-score {LIMIT} or more)"
        )

    @property
    def sentences(self) -> list[str]:
        """A sentence for each discordant window, or for the least typical one if there is none."""
        if self.discordant:
            return [verdict.sentence for verdict in self.discordant]
        odd = self.verdicts[self.least_typical]
        return [
            (
                f"no part stands out: samples {odd.first}-{odd.last} come closest, with a modified "
                f"z-score of {odd.distance_score:.1f}"
            )
        ]


def strangeness(verdict: Verdict) -> float:
    """How far out it is: the score that decides."""
    return verdict.distance_score


def read(run: Run, cuttings: Sequence[Cutting]) -> list[Finding]:
    """The findings of a run that succeeded, one for each series."""
    wanted = {summary_of(cutting) for cutting in cuttings}
    wanted |= {
        name_of(cutting, "flag", index)
        for cutting in cuttings
        for index in range(len(cutting.starts))
    }
    nodes = RunNode.objects.filter(run=run, name__in=wanted)
    names = dict(nodes.values_list("task_id", "name"))
    results = {names[task.id]: result_of(task) for task in Task.objects.filter(id__in=list(names))}
    return [_finding(cutting, results) for cutting in cuttings]


def _finding(cutting: Cutting, results: Mapping[str, Any]) -> Finding:
    summary = results[summary_of(cutting)]
    return Finding(
        cutting,
        tuple(
            _verdict(cutting, results[name_of(cutting, "flag", index)])
            for index in range(len(cutting.starts))
        ),
        summary["least_typical"],
        summary["verified"],
        summary["kinds"],
        summary["median_distance"],
    )


def _verdict(cutting: Cutting, told: Mapping[str, Any]) -> Verdict:
    first, last = cutting.span(told["index"])
    nearest_first, nearest_last = cutting.span(told["nearest"])
    return Verdict(
        index=told["index"],
        first=first,
        last=last,
        nearest=told["nearest"],
        nearest_first=nearest_first,
        nearest_last=nearest_last,
        distance=told["distance"],
        distance_score=told["distance_score"],
        feature_score=told["feature_score"],
        kind=told["kind"],
        discordant=told["discordant"],
        reasons=tuple(told["reasons"]),
    )

"""What `analyze` says about one series."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """The classes, as in the literature on nonlinear dynamics."""

    POINT = "POINT"
    LIMIT_CYCLE = "LIMIT_CYCLE"
    QUASI_PERIODIC = "QUASI_PERIODIC"
    STRANGE = "STRANGE"
    STOCHASTIC = "STOCHASTIC"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Cost:
    """What an analysis took: seconds, states whose neighbours were followed, and whether kept."""

    seconds: float
    references: int = 0
    reused: bool = False
    """Taken from the results that are kept; the seconds are those of looking it up."""


@dataclass(frozen=True, slots=True)
class Report:
    """One series judged. Exponent, interval and fit window are in the time unit of the caller.

    `exponent` is None when none could be measured (noise, drift); `evidence` holds sentences in
    the order in which they decided; `measures` the figures that they quote.
    """

    kind: Kind
    mode: str
    samples: int
    sample_interval: float
    exponent: float | None
    exponent_low: float | None
    exponent_high: float | None
    fit_window: tuple[float, float] | None
    entropy: float
    lag: int
    dimension: int
    """Delayed samples per state (embedding)."""
    correlation_dimension: float | None
    """Of the set that the states lie on; None in mode "fast" and where there is none."""
    evidence: tuple[str, ...]
    measures: dict[str, float]
    cost: Cost = field(default=Cost(0.0), compare=False)

    @property
    def confidence_interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the exponent."""
        if self.exponent_low is None or self.exponent_high is None:
            return None
        return self.exponent_low, self.exponent_high

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types only; no NaN or infinity occurs."""
        return {
            **asdict(self),
            "kind": self.kind.value,
            "fit_window": list(self.fit_window) if self.fit_window else None,
            "evidence": list(self.evidence),
        }

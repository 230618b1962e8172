"""From evidence to the probability that a stored answer answers this question too.

A logistic model with one coefficient for each figure of :class:`Evidence`, fitted by
``manage.py cache fit FILE`` on labelled pairs and kept in ``weights.json`` with what it was fitted
on. A veto multiplies the probability by `VETOED`, which no strictness lets through.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from gateway.similarity.evidence import Comparison, Evidence, compare

VETOED = 0.2
"""What is left of the probability: a ranking among vetoed pairs, none of them served."""

NAMES = tuple(field.name for field in fields(Evidence))
_STORED = Path(__file__).parent / "weights.json"


@dataclass(frozen=True, slots=True)
class Model:
    """Coefficients by name of the figure, and the intercept."""

    version: str
    intercept: float
    weights: tuple[float, ...]
    """In the order of :data:`NAMES`."""

    def probability(self, comparison: Comparison) -> float:
        """How likely one answer serves both questions, from 0 to 1."""
        logit = self.intercept + sum(
            weight * value
            for weight, value in zip(self.weights, comparison.evidence.values(), strict=True)
        )
        return 1 / (1 + math.exp(-logit)) * (VETOED if comparison.vetoes else 1.0)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "version": self.version,
            "intercept": self.intercept,
            "weights": dict(zip(NAMES, self.weights, strict=True)),
        }


def model_from(stored: Mapping[str, Any]) -> Model:
    """The model of :meth:`Model.as_dict`. Raises ValueError if a coefficient is missing."""
    missing = sorted(set(NAMES) - set(stored["weights"]))
    if missing:
        raise ValueError(f"the model lacks coefficients for {', '.join(missing)}: fit it again")
    weights = tuple(float(stored["weights"][name]) for name in NAMES)
    return Model(str(stored["version"]), float(stored["intercept"]), weights)


def stored_model() -> Model:
    """The model that this version ships."""
    return model_from(json.loads(_STORED.read_text(encoding="utf-8")))


MODEL = stored_model()


def score(a: str, b: str, cosine: float, model: Model = MODEL) -> float:
    """The probability for two questions whose embeddings have this `cosine` similarity."""
    return model.probability(compare(a, b, cosine))

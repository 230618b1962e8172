"""The probability that a cheap model suffices: a model in a JSON file, and its evaluation."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gateway.routing.surface import COUNTS, surface

FORMAT = 1
MOST_BYTES = 100_000
STORED = Path(__file__).parent / "sufficiency.json"


class BadModel(ValueError):
    """A file holds no model of this kind; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One count of the surface: how it is standardised and how much it weighs."""

    name: str
    weight: float
    mean: float
    scale: float


@dataclass(frozen=True, slots=True)
class Sufficiency:
    """Difficulty = Σ weight · (feature − mean) / scale; probability = logistic of it."""

    label: str
    features: tuple[Feature, ...]
    intercept: float
    slope: float
    """Of the logit that the cheap model does not suffice; above 0."""
    average: float
    """Share of the training prompts for which the cheap model sufficed."""
    trained_on: Mapping[str, Any]

    def difficulty(self, text: str) -> float:
        """Grows with what makes a strong model worth its price; about 0 ± 1."""
        found = dict(zip(COUNTS, surface(text), strict=True))
        return sum(
            feature.weight * (found[feature.name] - feature.mean) / feature.scale
            for feature in self.features
        )

    def probability(self, text: str) -> float:
        """How likely a cheap model answers `text` as well as a strong one."""
        logit = self.intercept + self.slope * self.difficulty(text)
        return 1 / (1 + math.exp(min(50.0, max(-50.0, logit))))

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "format": FORMAT,
            "label": self.label,
            "features": {
                feature.name: [feature.weight, feature.mean, feature.scale]
                for feature in self.features
            },
            "intercept": self.intercept,
            "slope": self.slope,
            "average": self.average,
            "trained_on": dict(self.trained_on),
        }


def model_from(stored: Any) -> Sufficiency:
    """The model of :meth:`Sufficiency.as_dict`. Raises BadModel."""
    try:
        if stored["format"] != FORMAT:
            raise BadModel(f"format {stored['format']} is not {FORMAT}: train it again")
        unknown = sorted(set(stored["features"]) - set(COUNTS))
        if unknown:
            raise BadModel(f"it has unknown features {', '.join(unknown)[:200]}: train it again")
        features = tuple(
            Feature(name, *_finite(*numbers)) for name, numbers in stored["features"].items()
        )
        intercept, slope, average = _finite(stored["intercept"], stored["slope"], stored["average"])
        model = Sufficiency(
            str(stored["label"])[:100], features, intercept, slope, average,
            dict(stored.get("trained_on", {})),
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise BadModel(f"it is no routing model ({type(error).__name__}: {error})") from error
    if not features or slope < 0 or not 0 <= average <= 1 or any(f.scale <= 0 for f in features):
        raise BadModel("it wants features, scales above 0, a slope from 0 on, an average within 1")
    return model


def _finite(*numbers: Any) -> tuple[float, ...]:
    found = tuple(map(float, numbers))
    if not all(map(math.isfinite, found)):
        raise BadModel("it holds numbers that are not finite")
    return found


def read_model(path: Path) -> Sufficiency:
    """The model in a file. Raises BadModel."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadModel(f"{path} cannot be read: {error.strerror}") from error
    if len(raw) > MOST_BYTES:
        raise BadModel(f"{path} is larger than {MOST_BYTES} bytes: it is no routing model")
    try:
        return model_from(json.loads(raw))
    except (ValueError, RecursionError) as error:
        raise BadModel(f"{path}: {error}") from error


@cache
def shipped() -> Sufficiency:
    """The model that this version ships."""
    return read_model(STORED)

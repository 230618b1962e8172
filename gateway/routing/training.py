"""Training from labelled outcomes, judged on subjects that the model has not seen."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gateway.routing.sufficiency import Feature, Sufficiency
from gateway.routing.surface import COUNTS, surface

Numbers = NDArray[np.float64]

WEIGHTS = {
    "longest_line": 0.4,
    "words": 0.3,
    "longest_sentence": 0.3,
    "negations": 0.7,
    "clauses": 0.15,
    "persons": 0.15,
}
"""Set by design (see the package): three ways to be long, negations, and how tangled it is."""

MOST_ROWS = 200_000
MOST_BYTES = 400_000_000
"""Unpacked."""
LONGEST_FIELD = 1_000_000
_SUFFIX = "_correct"
_TRUE, _FALSE = {"true", "1", "1.0"}, {"false", "0", "0.0"}
_STEPS = 25


class BadOutcomes(ValueError):
    """A file or a line of it cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Prompts with their subject, and whether the weak and the strong model were right."""

    prompts: tuple[str, ...]
    subjects: tuple[str, ...]
    weak: NDArray[np.bool_]
    strong: NDArray[np.bool_]
    names: tuple[str, str]

    @property
    def insufficient(self) -> NDArray[np.bool_]:
        """Where only the strong model was right."""
        return self.strong & ~self.weak


def read_outcomes(path: Path) -> Outcomes:
    """CSV, also packed: bench, prompt, WEAK_correct, STRONG_correct. Raises BadOutcomes."""
    try:
        with path.open("rb") as file:
            packed = path.suffix == ".gz"
            with gzip.GzipFile(fileobj=file) if packed else file as plain:
                return _outcomes(path, _Bounded(plain))
    except (OSError, EOFError) as error:
        raise BadOutcomes(f"{path} cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise BadOutcomes(f"{path} is not UTF-8: {error.reason}") from error
    except csv.Error as error:
        raise BadOutcomes(f"{path}: {error}") from error


class _Bounded(io.RawIOBase):
    """Refuses to unpack more than :data:`MOST_BYTES`."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        super().__init__()
        self._file, self._left = file, MOST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._file.read(len(buffer))
        self._left -= len(found)
        if self._left < 0:
            raise BadOutcomes(f"it is larger than {MOST_BYTES} bytes unpacked: split it")
        buffer[: len(found)] = found
        return len(found)


@contextmanager
def _long_fields() -> Iterator[None]:
    """Prompts are longer than what csv takes; the limit is the whole process's."""
    before = csv.field_size_limit(LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


@_long_fields()
def _outcomes(path: Path, file: io.RawIOBase) -> Outcomes:
    reader = csv.DictReader(io.TextIOWrapper(io.BufferedReader(file), "utf-8-sig", newline=""))
    columns = list(reader.fieldnames or [])
    correct = [name for name in columns if name.endswith(_SUFFIX)]
    if not {"bench", "prompt"} <= set(columns) or len(correct) != 2:  # noqa: PLR2004 - two models
        raise BadOutcomes(f"{path} wants the columns bench, prompt, WEAK_correct, STRONG_correct")
    rows = list(_rows(path, reader, correct))
    if not rows:
        raise BadOutcomes(f"{path} has no rows")
    prompts, subjects, weak, strong = zip(*rows, strict=True)
    names = correct[0].removesuffix(_SUFFIX), correct[1].removesuffix(_SUFFIX)
    return Outcomes(prompts, subjects, np.array(weak), np.array(strong), names)


def _rows(
    path: Path, reader: csv.DictReader[str], correct: Sequence[str]
) -> Iterator[tuple[str, str, bool, bool]]:
    for number, row in enumerate(reader, 1):
        if number > MOST_ROWS:
            raise BadOutcomes(f"{path} has more than {MOST_ROWS} rows: split it")
        told = [str(row[name]).strip().casefold() for name in correct]
        if None in row.values() or not set(told) <= _TRUE | _FALSE:
            raise BadOutcomes(f"{path}, row {number}: {', '.join(correct)} want true or false")
        yield row["prompt"], row["bench"], told[0] in _TRUE, told[1] in _TRUE


def train(outcomes: Outcomes, label: str = "local") -> Sufficiency:
    """The model for these outcomes. Raises BadOutcomes if one of the two kinds is missing."""
    return _fit(_surfaces(outcomes), outcomes, label)


@dataclass(frozen=True, slots=True)
class Unseen:
    """Of each prompt, what a model that was trained on the *other* subjects tells of it."""

    difficulty: Numbers
    """For ranking. Probabilities of different models do not rank: leaving out a subject in which
    the weak model often fails makes the model of that very subject the most hopeful one."""
    cheap_suffices: Numbers
    """For judging the calibration."""


def left_out(outcomes: Outcomes) -> Unseen:
    """Every subject judged by a model without it. Raises BadOutcomes."""
    found = _surfaces(outcomes)
    subjects = np.array(outcomes.subjects)
    names = np.unique(subjects)
    if len(names) < 2:  # noqa: PLR2004 - one to leave out, one to learn from
        raise BadOutcomes("there is one subject only: none can be left out")
    difficulty, probability = np.zeros(len(found)), np.zeros(len(found))
    for name in names:
        held = subjects == name
        model = _fit(found[~held], _chosen(outcomes, ~held), "")
        difficulty[held] = _difficulty(model.features, found[held])
        probability[held] = 1 / (1 + np.exp(model.intercept + model.slope * difficulty[held]))
    return Unseen(difficulty, probability)


def _surfaces(outcomes: Outcomes) -> Numbers:
    return np.array([surface(prompt) for prompt in outcomes.prompts])


def _chosen(outcomes: Outcomes, mask: NDArray[np.bool_]) -> Outcomes:
    where = np.flatnonzero(mask)
    return Outcomes(
        tuple(outcomes.prompts[i] for i in where),
        tuple(outcomes.subjects[i] for i in where),
        outcomes.weak[where],
        outcomes.strong[where],
        outcomes.names,
    )


def _fit(found: Numbers, outcomes: Outcomes, label: str) -> Sufficiency:
    wanted = outcomes.insufficient
    if wanted.all() or not wanted.any():
        raise BadOutcomes("outcomes of both kinds are needed: the weak model suffices, or not")
    features = tuple(
        Feature(name, WEIGHTS[name], float(column.mean()), float(column.std()) or 1.0)
        for name, column in zip(COUNTS, found.T, strict=True)
    )
    intercept, slope = _calibrated(_difficulty(features, found), wanted)
    trained_on = {
        "rows": len(found),
        "subjects": len(set(outcomes.subjects)),
        "weak": outcomes.names[0],
        "strong": outcomes.names[1],
    }
    average = float(1 - wanted.mean())
    return Sufficiency(label, features, intercept, slope, average, trained_on)


def _difficulty(features: Sequence[Feature], found: Numbers) -> Numbers:
    order = list(COUNTS)
    total = np.zeros(len(found))
    for feature in features:
        column = found[:, order.index(feature.name)]
        total += feature.weight * (column - feature.mean) / feature.scale
    return total


def _calibrated(difficulty: Numbers, wanted: NDArray[np.bool_]) -> tuple[float, float]:
    """Intercept and slope (never below 0) of the logistic curve, by Newton's steps."""
    share = wanted.mean()
    beta = np.array([np.log(share / (1 - share)), 0.0])
    columns = np.column_stack([np.ones(len(difficulty)), difficulty])
    for _ in range(_STEPS):
        expected = 1 / (1 + np.exp(-columns @ beta))
        curvature = (columns.T * (expected * (1 - expected))) @ columns + 1e-6 * np.eye(2)
        beta += np.linalg.solve(curvature, columns.T @ (wanted - expected))
    return float(beta[0]), max(0.0, float(beta[1]))

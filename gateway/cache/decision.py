"""Whether a candidate's answer serves a question: vetoes, probability, the entry's own threshold.

Pure: texts and figures in, a verdict out.

What a caller reports about an entry raises its threshold above the policy's. With `b` wrong and
`g` right reports its error rate has the distribution Beta(½ + b, 4½ + g); the higher its upper
bound, the more of the way from the policy's threshold to certainty is asked for, and never less
than `MARGIN` above the score at which it was wrong. Right reports win trust back, but never below
what the policy asks. Two wrong ones quarantine the entry: it is served to nobody.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from gateway.similarity.evidence import Question, compare_questions, read
from gateway.similarity.score import MODEL

QUARANTINED_BY = 2
MARGIN = 0.02
_WRONG_BEFORE, _RIGHT_BEFORE = 0.5, 4.5
_SIGMAS = 1.28  # a one-sided bound that holds in nine of ten cases


@dataclass(frozen=True, slots=True)
class Record:
    """What was reported about an entry."""

    good: int = 0
    bad: int = 0
    worst: float = 0.0
    """Highest score with which it was served and wrong."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry that may answer the question."""

    entry: str
    question: str
    cosine: float
    record: Record = Record()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found about a candidate."""

    candidate: Candidate
    score: float
    threshold: float
    vetoes: tuple[str, ...]

    @property
    def serves(self) -> bool:
        """Whether its answer may be given."""
        return not self.vetoes and self.score >= self.threshold


def threshold_of(record: Record, wanted: float) -> float:
    """Least probability that this entry needs, at least the `wanted` one; above 1: never served."""
    if not record.bad:
        return wanted
    wrong, right = _WRONG_BEFORE + record.bad, _RIGHT_BEFORE + record.good
    total = wrong + right
    spread = math.sqrt(wrong * right / (total * total * (total + 1)))
    error = min(1.0, wrong / total + _SIGMAS * spread)
    return max(wanted, wanted + (1 - wanted) * error, record.worst + MARGIN)


def judge(question: str, candidate: Candidate, wanted: float) -> Verdict:
    """Compare a question with a candidate's."""
    compared = compare_questions(_read(question), _read(candidate.question), candidate.cosine)
    return Verdict(
        candidate,
        MODEL.probability(compared),
        threshold_of(candidate.record, wanted),
        tuple(map(str, compared.vetoes)),
    )


def best(verdicts: Iterable[Verdict]) -> Verdict | None:
    """The verdict to act on: the likeliest that serves, else the likeliest."""
    return max(verdicts, key=lambda verdict: (verdict.serves, verdict.score), default=None)


@lru_cache(maxsize=8192)
def _read(question: str) -> Question:
    return read(question)

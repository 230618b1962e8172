"""What an agreement is: our figure, the peer's, and how far apart their definitions let them be."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version


@dataclass(frozen=True, slots=True)
class Agreement:
    """One comparison. `ours` and `theirs` return one number each; peers are imported inside."""

    kernel: str
    peer: str
    """The distribution whose function `theirs` calls."""
    series: str
    """What is compared, in words: input and parameters."""
    ours: Callable[[], float]
    theirs: Callable[[], float]
    relative: float = 1e-9
    absolute: float = 0.0
    why: str = ""
    """Why they may differ by more than rounding."""
    found: Callable[[], bool] | None = None
    """Whether a peer is there that is no distribution of this environment."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Both figures of an agreement."""

    agreement: Agreement
    ours: float
    theirs: float

    @property
    def holds(self) -> bool:
        """Whether they are as close as promised."""
        return math.isclose(
            self.ours,
            self.theirs,
            rel_tol=self.agreement.relative,
            abs_tol=self.agreement.absolute,
        )


def present(agreement: Agreement) -> bool:
    """Whether the peer is installed."""
    if agreement.found is not None:
        return agreement.found()
    try:
        version(agreement.peer)
    except PackageNotFoundError:
        return False
    return True


def compare(agreement: Agreement) -> Compared:
    """Compute both; what the peer warns of is not our matter.

    A figure of ours may need the peer too: how often the two disagree.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Compared(agreement, float(agreement.ours()), float(agreement.theirs()))

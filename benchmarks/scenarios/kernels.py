"""How much faster the kernels are than the libraries that people would use instead.

Each part of the kernels has a module of cases beside this one; its `CASES` are listed here.
"""

from __future__ import annotations

from benchmarks.figures import Findings
from benchmarks.racing import Case, race
from benchmarks.scenarios import (
    kernels_attractor,
    kernels_elastic,
    kernels_logic,
    kernels_vectors,
)

CASES: tuple[Case, ...] = (
    *kernels_attractor.CASES,
    *kernels_elastic.CASES,
    *kernels_vectors.CASES,
    *kernels_logic.CASES,
)


def measure(_tasks: int | None, rounds: int | None) -> Findings:
    """Race every case, `rounds` times each."""
    findings = Findings("kernels", "manage.py bench kernels --json")
    race(CASES, findings, rounds)
    return findings

"""A report is computed once per series, whatever its unit, and never taken for another's."""

from __future__ import annotations

import numpy as np
import pytest

from kernels import attractor
from kernels.reuse import Kept, digest
from kernels.series import standardise
from tests.kernels import systems


@pytest.fixture(autouse=True)
def _nothing_kept():
    attractor.REPORTS.clear()


def test_the_same_series_in_another_unit_is_not_analysed_again():
    x = systems.henon(300)

    first = attractor.analyze(x, "fast")
    again = attractor.analyze(1000.0 * x - 7.0, "fast")

    assert (first.cost.reused, again.cost.reused) == (False, True)
    assert again == first
    assert len(attractor.REPORTS) == 1


@pytest.mark.parametrize(
    "other",
    [
        lambda x: attractor.analyze(x, "normal"),
        lambda x: attractor.analyze(x, "fast", 0.5),
        lambda x: attractor.analyze(x[:-1], "fast"),
        lambda x: attractor.analyze(x[::-1], "fast"),
        lambda x: attractor.analyze(np.append(x[:-1], x[-1] + 1e-6), "fast"),
        lambda x: attractor.analyze(x, "fast", reuse=False),
    ],
)
def test_another_series_or_question_is_analysed_anew(other):
    x = systems.henon(300)
    attractor.analyze(x, "fast")

    assert not other(x).cost.reused


def test_small_amplitudes_do_not_make_series_one():
    x = systems.henon(300) * 1e-12
    attractor.analyze(x, "fast")

    report = attractor.analyze(np.random.default_rng(0).normal(size=300) * 1e-12, "fast")

    assert not report.cost.reused


def test_what_a_caller_does_to_a_report_stays_with_the_caller():
    x = systems.henon(300)
    attractor.analyze(x, "fast").measures.clear()

    assert attractor.analyze(x, "fast").measures


def test_a_report_says_what_it_cost():
    ticks = iter([10.0, 10.25])

    report = attractor.analyze(systems.henon(300), "fast", clock=lambda: next(ticks))

    assert report.cost.seconds == 0.25
    assert report.cost.references == 300
    assert report.as_dict()["cost"] == {"seconds": 0.25, "references": 300, "reused": False}


def test_only_the_latest_results_are_kept():
    kept = Kept(2)
    for key in (b"a", b"b"):
        kept.put(key, key.decode())
    kept.get(b"a")

    kept.put(b"c", "c")

    assert [kept.get(key) for key in (b"a", b"b", b"c")] == ["a", None, "c"]
    assert len(kept) == 2


def test_parameters_are_part_of_the_key():
    x = standardise(np.arange(100.0))

    assert digest(x, "fast", 1.0) == digest(standardise(3 + 5e6 * np.arange(100.0)), "fast", 1.0)
    assert len({digest(x, "fast", 1.0), digest(x, "fast", 2.0), digest(x, "deep", 1.0)}) == 3

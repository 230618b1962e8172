"""Random formulas as trees, and random traces for them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from kernels.temporal_logic.tree import (
    Arithmetic,
    Comparison,
    Number,
    Operation,
    Proposition,
    Signal,
    Truth,
)
from kernels.temporal_logic.words import TIMED, Kind

ONE = (
    *(Kind.NOT, Kind.NEXT, Kind.WEAK_NEXT, Kind.EVENTUALLY, Kind.ALWAYS, Kind.PREVIOUS),
    *(Kind.WEAK_PREVIOUS, Kind.ONCE, Kind.HISTORICALLY, Kind.RISE, Kind.FALL),
)
TWO = tuple(kind for kind in Kind if kind not in ONE)
FUTURE = frozenset(
    {
        *(Kind.NEXT, Kind.WEAK_NEXT, Kind.EVENTUALLY, Kind.ALWAYS, Kind.UNTIL, Kind.RELEASE),
        *(Kind.WEAK_UNTIL, Kind.STRONG_RELEASE),
    }
)
PAST = frozenset(
    {
        *(Kind.PREVIOUS, Kind.WEAK_PREVIOUS, Kind.ONCE, Kind.HISTORICALLY, Kind.SINCE),
        *(Kind.TRIGGER, Kind.RISE, Kind.FALL),
    }
)
NUMBERS = st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0])


def expressions():
    """Linear ones; what holds no signal is a number, as the parser leaves it."""
    signals = st.sampled_from([Signal("x"), Signal("y")])
    simple = st.one_of(signals, st.builds(Number, NUMBERS))
    scaled = st.builds(lambda c, s: Arithmetic("*", (Number(c), s)), NUMBERS, signals)
    sums = st.builds(lambda o, a, b: Arithmetic(o, (a, b)), st.sampled_from("+-"), scaled, simple)
    return st.one_of(simple, sums, st.builds(lambda e: Arithmetic("abs", (e,)), sums))


def comparisons():
    signs = st.sampled_from([">", ">=", "<", "<=", "==", "!="])
    threshold = st.builds(
        lambda o, s, c: Comparison(o, s, Number(c)), signs, st.just(Signal("x")), NUMBERS
    )
    general = st.builds(Comparison, signs, expressions(), expressions())
    return st.one_of(threshold, threshold, general)


def propositions():
    return st.builds(Proposition, st.sampled_from(["p", "q", "r"]))


@st.composite
def intervals(draw, kind, longest):
    if kind not in TIMED or not longest or draw(st.booleans()):
        return 0, None
    low = draw(st.integers(0, longest))
    return low, draw(st.one_of(st.none(), st.integers(low, low + longest)))


@st.composite
def formulas(draw, depth=4, leaves=None, kinds=None, longest=6):
    """A tree of at most `depth` operators above a leaf; bounds up to `longest`, 0 = none."""
    leaves = st.one_of(comparisons(), propositions()) if leaves is None else leaves
    kinds = sorted(kinds or Kind)
    if depth == 0 or draw(st.integers(0, 9)) < 2:
        return draw(st.one_of(leaves, leaves, leaves, leaves, st.builds(Truth, st.booleans())))
    kind = draw(st.sampled_from(kinds))
    deeper = formulas(depth=depth - 1, leaves=leaves, kinds=kinds, longest=longest)
    operands = [draw(deeper) for _ in range(1 if kind in ONE else 2)]
    low, high = draw(intervals(kind, longest))
    return Operation(kind, tuple(operands), low, high)


@st.composite
def traces(draw, longest=64):
    """Signals x and y on a coarse grid, propositions p, q and r; equal values are frequent."""
    n = draw(st.integers(1, longest))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    signals = {name: random.integers(-4, 5, n) / 2 for name in "xy"}
    return {**signals, **{name: random.random(n) < 0.6 for name in "pqr"}}

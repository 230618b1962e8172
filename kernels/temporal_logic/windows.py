"""A compiled program over a whole trace: every node one row of work, O(n) per operator.

Windows by doubling while they are short (vectorised) and by van Herk, Gil & Werman above
(three comparisons a sample whatever the window). A bounded until is three windows and an
unbounded one (Donzé, Ferrère & Maler 2013), so it is linear too. No sum is reordered: the
values are those of the definition to the last bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.compile import jit
from kernels.series import Floats, Integers

# Operation codes, in the first column of a program; the columns are
# (code, out, first, second, low, high), the constant stands in a vector beside it.
CONSTANT = 0  # out = constant
SAMPLE = 1  # out = signal[first]
MARGIN = 2  # out = signal[first] - constant, or its negative when second is 1
ADD, SUBTRACT, MULTIPLY, DIVIDE = 3, 4, 5, 6  # out = first ∘ second
ABSOLUTE, NEGATE = 7, 8
TRUTH = 9  # out = ±1: first > 0, or >= 0 when second is 1
AND, OR = 10, 11
FUTURE_MAX, FUTURE_MIN, PAST_MAX, PAST_MIN = 12, 13, 14, 15  # over [low, high]; high -1 = none
UNTIL, RELEASE, SINCE, TRIGGER = 16, 17, 18, 19  # unbounded, from the same sample on
COLUMNS = 6

_DOUBLING = 128
"""Windows up to here are faster by doubling, those above by van Herk's blocks."""


@jit
def evaluate(
    program: Integers,
    constants: Floats,
    signals: Floats,
    checked: tuple[int, float],
    shape: Integers,
) -> tuple[Floats, int]:
    """The rows asked for, and which of the signals `checked` (how many, limit) is broken, or -1.

    `shape` is the number of rows of work, then the rows asked for; -1 means none is broken.
    """
    finite, largest = checked
    n = signals.shape[1]
    rows = shape[0]
    result = np.empty((shape.size - 1, n))
    for s in range(finite):
        if not _is_finite(signals[s], largest):
            return result, s
    work = np.empty((rows + 2, n))
    for step in range(program.shape[0]):
        code = program[step, 0]
        out = work[program[step, 1]]
        first = program[step, 2]
        second = program[step, 3]
        if code <= MARGIN:
            _load(code, signals, first, second, constants[step], out)
        elif code <= TRUTH:
            _compute(code, work[first], work[second], second, out)
        elif code <= OR:
            _combine(work[first], work[second], out, code == AND)
        elif code <= PAST_MIN:
            minimum = code % 2 == 1
            low = program[step, 4]
            high = program[step, 5]
            if code <= FUTURE_MIN:
                _window(work[first], out, work[rows], low, high, minimum)
            else:
                _reverse(work[first], work[rows + 1])
                _window(work[rows + 1], out, work[rows], low, high, minimum)
                _flip(out)
        else:
            _chain(code, work[first], work[second], out)
    for k in range(shape.size - 1):
        result[k] = work[shape[k + 1]]
    return result, -1


@jit
def _is_finite(x: Floats, largest: float) -> bool:
    within = 0
    for i in range(x.size):
        within += abs(x[i]) <= largest
    return within == x.size


@jit
def _load(
    code: int, signals: Floats, first: int, second: int, constant: float, out: Floats
) -> None:
    if code == CONSTANT:
        out[:] = constant
    elif code == SAMPLE:
        out[:] = signals[first]
    else:
        x = signals[first]
        if second == 1:
            for i in range(out.size):
                out[i] = constant - x[i]
        else:
            for i in range(out.size):
                out[i] = x[i] - constant


@jit
def _compute(code: int, a: Floats, b: Floats, second: int, out: Floats) -> None:
    n = out.size
    if code == ADD:
        for i in range(n):
            out[i] = a[i] + b[i]
    elif code == SUBTRACT:
        for i in range(n):
            out[i] = a[i] - b[i]
    elif code == MULTIPLY:
        for i in range(n):
            out[i] = a[i] * b[i]
    elif code == DIVIDE:
        for i in range(n):
            out[i] = a[i] / b[i]
    elif code == ABSOLUTE:
        for i in range(n):
            out[i] = abs(a[i])
    elif code == NEGATE:
        for i in range(n):
            out[i] = -a[i]
    elif second == 1:
        for i in range(n):
            out[i] = 1.0 if a[i] >= 0.0 else -1.0
    else:
        for i in range(n):
            out[i] = 1.0 if a[i] > 0.0 else -1.0


@jit
def _combine(a: Floats, b: Floats, out: Floats, minimum: bool) -> None:  # noqa: FBT001
    """The smaller or the larger of two, sample by sample."""
    if minimum:
        for i in range(out.size):
            value = a[i]
            if b[i] < value:
                value = b[i]
            out[i] = value
    else:
        for i in range(out.size):
            value = a[i]
            if b[i] > value:
                value = b[i]
            out[i] = value


@jit
def _window(x: Floats, out: Floats, spare: Floats, low: int, high: int, minimum: bool) -> None:  # noqa: FBT001
    """The extreme over [t + low, t + high], cut at the end; ±inf where nothing is left."""
    n = x.size
    empty = np.inf if minimum else -np.inf
    if low >= n:
        out[:] = empty
        return
    left = n - low
    if high < 0 or high - low >= left:
        _suffix(x[low:], out[:left], minimum)
    elif high - low < _DOUBLING:
        _double(x[low:], out[:left], spare[:left], high - low + 1, minimum)
    else:
        _blocks(x[low:], out[:left], spare[:left], high - low + 1, minimum)
    out[left:] = empty


@jit
def _suffix(x: Floats, out: Floats, minimum: bool) -> None:  # noqa: FBT001
    value = x[x.size - 1]
    for i in range(x.size - 1, -1, -1):
        if (x[i] < value) if minimum else (x[i] > value):
            value = x[i]
        out[i] = value


@jit
def _double(x: Floats, out: Floats, spare: Floats, width: int, minimum: bool) -> None:  # noqa: FBT001
    """Windows of 1, 2, 4, … and at last two that overlap; `out` and `spare` take turns."""
    n = x.size
    source = x
    target = spare
    span = 1
    while span < width:
        shift = min(span, width - span)
        left = n - shift
        _combine(source[:left], source[shift:], target[:left], minimum)
        target[left:] = source[left:]
        source = target
        target = out if span + shift < width and source is spare else spare
        span += shift
    out[:] = source


@jit
def _blocks(x: Floats, out: Floats, spare: Floats, width: int, minimum: bool) -> None:  # noqa: FBT001
    """Suffix maxima within blocks of one width, joined with prefix maxima of the next block."""
    n = x.size
    sign = -1.0 if minimum else 1.0
    for begin in range(0, n, width):
        value = -np.inf
        for i in range(min(begin + width, n) - 1, begin - 1, -1):
            y = sign * x[i]
            if y > value:
                value = y
            spare[i] = value
    for begin in range(0, n, width):
        value = -np.inf
        for i in range(begin, min(begin + width, n)):
            last = i + width - 1
            if i > begin and last < n:
                y = sign * x[last]
                if y > value:
                    value = y
            y = spare[i]
            if value > y:
                y = value
            out[i] = sign * y


@jit
def _chain(code: int, first: Floats, second: Floats, out: Floats) -> None:
    """x(t) = max(second, min(first, x(t ± 1))), and its dual."""
    n = out.size
    exists = code % 2 == 0
    value = -np.inf if exists else np.inf
    for step in range(n):
        i = step if code >= SINCE else n - 1 - step
        a = first[i]
        b = second[i]
        if exists:
            if a < value:
                value = a
            if b > value:
                value = b
        else:
            if a > value:
                value = a
            if b < value:
                value = b
        out[i] = value


@jit
def _reverse(x: Floats, out: Floats) -> None:
    n = x.size
    for i in range(n):
        out[i] = x[n - 1 - i]


@jit
def _flip(x: Floats) -> None:
    n = x.size
    for i in range(n // 2):
        x[i], x[n - 1 - i] = x[n - 1 - i], x[i]


@jit
def run_table(
    table: NDArray[np.int32], letters: NDArray[np.int32], state: int, path: NDArray[np.int32]
) -> int:
    """Follow `letters` through a transition table; `path` takes the state after each."""
    for i in range(letters.size):
        state = table[state, letters[i]]
        path[i] = state
    return state

"""The same operators as samples arrive: constant work per sample, memory of the windows' lengths.

A node's row holds at each step its value for a position some samples back (its delay), so that
all it depends on has arrived. One step of `g U h` is the function v ↦ max(h, min(g, v)); such
functions are pairs (g, h), and composing them is associative. So every bounded window, with or
without a chain, is a product over the last samples: suffix products of the finished block times
the prefix product of the running one (van Herk, Gil & Werman, for any associative product).
"""

from __future__ import annotations

import numpy as np

from kernels.compile import jit
from kernels.series import Floats, Integers

# Columns of a program: (code, out, first, second, width or delay, past, mask, offset in state).
LITERAL, AND, OR, DELAY, EXISTS, FORALL = range(6)
COLUMNS = 8
NOTHING = -1
"""As first operand: no condition on the way; as width: without a bound (past only)."""


@jit
def stream(
    program: Integers, literals: Floats, state: Floats, clock: Integers, work: Floats
) -> None:
    """Fill the rows of `work` for one chunk and move `state` on.

    `clock` = (steps before this chunk, steps after which positions do not exist). A window
    ignores operands at positions below 0 or beyond the end: those of its step less `mask`.
    """
    for line in range(program.shape[0]):
        code = program[line, 0]
        out = work[program[line, 1]]
        first = program[line, 2]
        second = program[line, 3]
        width = program[line, 4]
        if code == LITERAL:
            out[:] = literals[first]
        elif code <= OR:
            _combine(work[first], work[second], out, code == AND)
        elif code == DELAY:
            _delay(work[second], out, state[program[line, 7] :], width, clock[0])
        elif width < 0:
            _running(work, program[line], state, clock)
        elif program[line, 5] == 1:
            _behind(work, program[line], state, clock)
        else:
            _ahead(work, program[line], state, clock)


@jit
def advance(
    program: Integers, outputs: Integers, literals: Floats, state: Floats, clock: Integers
) -> Floats:
    """Run a chunk; the rows of `outputs`, shape (outputs, samples). Moves `state`, not `clock`."""
    work = np.empty((program.shape[0], literals.shape[1]))
    stream(program, literals, state, clock, work)
    found = np.empty((outputs.size, literals.shape[1]))
    for k in range(outputs.size):
        found[k] = work[outputs[k]]
    return found


@jit
def outlook(
    program: Integers, outputs: Integers, literals: tuple[int, int], state: Floats, clock: Integers
) -> Floats:
    """The outputs at the next samples when every literal is -inf, and when it is inf.

    `literals` = (how many, for how many samples); shape (2, outputs, samples).
    """
    found = np.empty((2, outputs.size, literals[1]))
    for way in range(2):
        unknown = np.full(literals, np.inf if way == 1 else -np.inf)
        found[way] = advance(program, outputs, unknown, state.copy(), clock)
    return found


@jit
def _combine(a: Floats, b: Floats, out: Floats, minimum: bool) -> None:  # noqa: FBT001
    for i in range(out.size):
        x = a[i]
        y = b[i]
        if (y < x) if minimum else (y > x):
            x = y
        out[i] = x


@jit
def _delay(x: Floats, out: Floats, ring: Floats, length: int, steps: int) -> None:
    at = steps % length
    for i in range(out.size):
        out[i] = ring[at]
        ring[at] = x[i]
        at += 1
        if at == length:
            at = 0


@jit
def _running(work: Floats, line: Integers, state: Floats, clock: Integers) -> None:
    """A since without a bound, or its dual: one number of memory."""
    x = work[line[3]]
    chained = line[2] >= 0
    way = work[line[2]] if chained else x
    out = work[line[1]]
    sign = 1.0 if line[0] == EXISTS else -1.0
    begin = line[6] - clock[0]
    end = begin + clock[1]
    memory = state[line[7] :]
    value = memory[0]
    for i in range(out.size):
        if begin <= i < end:
            if chained and sign * way[i] < value:
                value = sign * way[i]
            if sign * x[i] > value:
                value = sign * x[i]
        out[i] = sign * value
    memory[0] = value


@jit
def _ahead(work: Floats, line: Integers, state: Floats, clock: Integers) -> None:
    """The maximum of min(x, all before it on the way) over the last `width`, oldest first."""
    x = work[line[3]]
    chained = line[2] >= 0
    way = work[line[2]] if chained else x
    out = work[line[1]]
    sign = 1.0 if line[0] == EXISTS else -1.0
    begin = line[6] - clock[0]
    end = begin + clock[1]
    width = line[4]
    memory = state[line[7] : line[7] + 4 * width + 2]
    block_g = memory[:width]
    block_h = memory[width : 2 * width]
    suffix_g = memory[2 * width : 3 * width]
    suffix_h = memory[3 * width : 4 * width]
    prefix_g = memory[4 * width]
    prefix_h = memory[4 * width + 1]
    at = clock[0] % width
    for i in range(out.size):
        g = np.inf
        h = -np.inf
        if begin <= i < end:
            h = sign * x[i]
            if chained:
                g = sign * way[i]
        block_g[at] = g
        block_h[at] = h
        if prefix_g < h:
            h = prefix_g
        if h > prefix_h:
            prefix_h = h
        if g < prefix_g:
            prefix_g = g
        at += 1
        if at == width:
            out[i] = sign * prefix_h
            g = np.inf
            h = -np.inf
            for k in range(width - 1, -1, -1):
                if block_g[k] < h:
                    h = block_g[k]
                if block_h[k] > h:
                    h = block_h[k]
                if block_g[k] < g:
                    g = block_g[k]
                suffix_g[k] = g
                suffix_h[k] = h
            prefix_g = np.inf
            prefix_h = -np.inf
            at = 0
        else:
            value = prefix_h
            if suffix_g[at] < value:
                value = suffix_g[at]
            if suffix_h[at] > value:
                value = suffix_h[at]
            out[i] = sign * value
    memory[4 * width] = prefix_g
    memory[4 * width + 1] = prefix_h


@jit
def _behind(work: Floats, line: Integers, state: Floats, clock: Integers) -> None:
    """The maximum of min(x, all after it on the way) over the last `width`, newest first."""
    x = work[line[3]]
    chained = line[2] >= 0
    way = work[line[2]] if chained else x
    out = work[line[1]]
    sign = 1.0 if line[0] == EXISTS else -1.0
    begin = line[6] - clock[0]
    end = begin + clock[1]
    width = line[4]
    memory = state[line[7] : line[7] + 4 * width + 2]
    block_g = memory[:width]
    block_h = memory[width : 2 * width]
    suffix_h = memory[3 * width : 4 * width]
    prefix_g = memory[4 * width]
    prefix_h = memory[4 * width + 1]
    at = clock[0] % width
    for i in range(out.size):
        g = np.inf
        h = -np.inf
        if begin <= i < end:
            h = sign * x[i]
            if chained:
                g = sign * way[i]
        block_g[at] = g
        block_h[at] = h
        if g < prefix_h:
            prefix_h = g
        if h > prefix_h:
            prefix_h = h
        if g < prefix_g:
            prefix_g = g
        at += 1
        if at == width:
            out[i] = sign * prefix_h
            g = np.inf
            h = -np.inf
            for k in range(width - 1, -1, -1):
                value = block_h[k]
                if g < value:
                    value = g
                if value > h:
                    h = value
                if block_g[k] < g:
                    g = block_g[k]
                suffix_h[k] = h
            prefix_g = np.inf
            prefix_h = -np.inf
            at = 0
        else:
            value = suffix_h[at]
            if prefix_g < value:
                value = prefix_g
            if prefix_h > value:
                value = prefix_h
            out[i] = sign * value
    memory[4 * width] = prefix_g
    memory[4 * width + 1] = prefix_h


@jit
def spread(weights: Floats, terms: Integers, needed: Integers, values: Floats, skip: int) -> None:
    """Move the weight of every cube on by the samples after `skip`, along its terms.

    A term (from, to, begin, end) carries min(weight, the values of rows needed[begin:end]); a
    cube weighs the most that is carried to it.
    """
    later = np.empty_like(weights)
    for i in range(skip, values.shape[1]):
        later[:] = -np.inf
        for t in range(terms.shape[0]):
            value = weights[terms[t, 0]]
            for k in range(terms[t, 2], terms[t, 3]):
                if values[needed[k], i] < value:
                    value = values[needed[k], i]
            if value > later[terms[t, 1]]:
                later[terms[t, 1]] = value
        weights[:] = later

"""Cores of the blocks of features: figures of standardised shapes, written into their columns."""

from __future__ import annotations

import numpy as np

from kernels.compile import jit
from kernels.series import Floats


@jit
def statistics(shapes: Floats, features: Floats) -> None:
    """Columns 2 to 31; 0 and 1 are the caller's."""
    n = shapes.shape[1]
    for row in range(shapes.shape[0]):
        x = shapes[row]
        out = features[row]
        ranked = np.sort(x)
        if ranked[0] == ranked[n - 1]:
            continue
        third = fourth = absolute = 0.0
        step_sum = step_abs = step_squares = 0.0
        step_low = np.inf
        step_high = -np.inf
        crossings = turns = 0
        ramp = bend = first_half = first_squares = second_squares = 0.0
        highest = lowest = 0
        for i in range(n):
            value = x[i]
            third += value**3
            fourth += value**4
            absolute += abs(value)
            centred = (i - (n - 1) / 2) / n
            ramp += value * centred
            bend += value * (centred * centred - 1.0 / 12.0)
            if i < n // 2:
                first_half += value
                first_squares += value * value
            else:
                second_squares += value * value
            if value > x[highest]:
                highest = i
            if value < x[lowest]:
                lowest = i
            if i > 0:
                step = value - x[i - 1]
                step_sum += step
                step_abs += abs(step)
                step_squares += step * step
                step_low = min(step_low, step)
                step_high = max(step_high, step)
                if (value > 0.0) != (x[i - 1] > 0.0):
                    crossings += 1
                if i > 1 and (step > 0.0) != (x[i - 1] - x[i - 2] > 0.0):
                    turns += 1
        skew = third / n
        out[2] = np.sign(skew) * np.log1p(abs(skew))
        out[3] = np.log1p(fourth / n)
        out[4] = ranked[0]
        out[5] = ranked[n - 1]
        out[6] = ranked[n // 2]
        out[7] = ranked[int(0.05 * n)]
        out[8] = ranked[int(0.10 * n)]
        out[9] = ranked[int(0.25 * n)]
        out[10] = ranked[int(0.75 * n)]
        out[11] = ranked[int(0.90 * n)]
        out[12] = ranked[int(0.95 * n)]
        out[13] = absolute / n
        out[14] = step_abs / (n - 1)
        out[15] = np.sqrt(step_squares / (n - 1))
        out[16] = step_high
        out[17] = step_low
        out[18] = crossings / n
        out[19] = turns / n
        for index in range(5):
            lag = 4 << index
            product = 0.0
            for i in range(n - lag):
                product += x[i] * x[i + lag]
            out[20 + index] = product / (n - lag)
        out[25] = highest / n
        out[26] = lowest / n
        out[27] = 12.0 * ramp / n
        out[28] = 180.0 * bend / n
        out[29] = 2.0 * first_half / n
        out[30] = (second_squares - first_squares) / n
        out[31] = _pattern_entropy(x)


@jit
def _pattern_entropy(x: Floats) -> float:
    """Of the orders of four neighbours, over its largest value; `entropy.permutation_entropy`.

    Equal samples keep their order. A pattern is numbered by how many later ones are smaller.
    """
    counts = np.zeros(24, np.int64)
    total = x.size - 3
    for i in range(total):
        a, b, c, d = x[i], x[i + 1], x[i + 2], x[i + 3]
        first = int(b < a) + int(c < a) + int(d < a)
        second = int(c < b) + int(d < b)
        counts[6 * first + 2 * second + int(d < c)] += 1
    entropy = 0.0
    for pattern in range(24):
        if counts[pattern] > 0:
            share = counts[pattern] / total
            entropy -= share * np.log2(share)
    normalised: float = entropy / np.log2(24.0)
    return normalised


@jit
def warp(shapes: Floats, columns: Floats, window: int, features: Floats) -> None:
    """Warping distances to all prototypes at once: the innermost loop runs over prototypes.

    Neighbouring cells wait for each other, neighbouring prototypes do not, so the compiler can
    treat four or eight of them in one instruction.
    """
    length, count = columns.shape
    per_point = shapes.shape[1] // length
    x = np.empty(length)
    for row in range(shapes.shape[0]):
        for i in range(length):
            total = 0.0
            for j in range(per_point):
                total += shapes[row, i * per_point + j]
            x[i] = total / per_point
        previous = np.full((length + 1, count), np.inf)
        current = np.full((length + 1, count), np.inf)
        previous[0, :] = 0.0
        for i in range(length):
            start = max(0, i - window)
            stop = min(length, i + window + 1)
            current[start, :] = np.inf
            value = x[i]
            for j in range(start, stop):
                for c in range(count):
                    best = previous[j, c]
                    above = previous[j + 1, c]
                    left = current[j, c]
                    if above < best:
                        best = above
                    if left < best:
                        best = left
                    difference = value - columns[j, c]
                    current[j + 1, c] = best + difference * difference
            if stop < length:
                current[stop + 1, :] = np.inf
            previous, current = current, previous
        for c in range(count):
            features[row, 160 + c] = np.sqrt(previous[length, c] / length)


@jit
def wavelets(shapes: Floats, features: Floats) -> None:
    """Haar transform: the 128 coarsest coefficients, then four figures for each of the 8 levels."""
    n = shapes.shape[1]
    smooth = np.empty(n)
    halves = np.empty(n)
    for row in range(shapes.shape[0]):
        smooth[:] = shapes[row]
        size = n
        level = 0
        while size > 1:
            half = size // 2
            energy = largest = absolute = roughness = 0.0
            last = 0.0
            for i in range(half):
                detail = (smooth[2 * i] - smooth[2 * i + 1]) * 0.7071067811865476
                halves[i] = (smooth[2 * i] + smooth[2 * i + 1]) * 0.7071067811865476
                if half < 128:
                    features[row, 224 + half + i] = detail / 16.0
                energy += detail * detail
                absolute += abs(detail)
                largest = max(largest, abs(detail))
                if i > 0:
                    roughness += abs(detail - last)
                last = detail
            column = 352 + 4 * level
            features[row, column] = np.log1p(energy)
            features[row, column + 1] = absolute / half
            features[row, column + 2] = largest / 16.0
            features[row, column + 3] = roughness / half
            smooth[:half] = halves[:half]
            size = half
            level += 1
        features[row, 224] = smooth[0] / 16.0

"""Systems whose motion is known: the reference values of the literature are about these."""

from __future__ import annotations

from functools import cache

import numpy as np


def _integrate(rate, state, step, count, skipped):
    out = np.empty(count)
    for i in range(-skipped, count):
        k1 = rate(*state)
        k2 = rate(*(s + step / 2 * k for s, k in zip(state, k1, strict=True)))
        k3 = rate(*(s + step / 2 * k for s, k in zip(state, k2, strict=True)))
        k4 = rate(*(s + step * k for s, k in zip(state, k3, strict=True)))
        state = tuple(
            s + step / 6 * (a + 2 * b + 2 * c + d)
            for s, a, b, c, d in zip(state, k1, k2, k3, k4, strict=True)
        )
        if i >= 0:
            out[i] = state[0]
    return out


@cache
def lorenz(count, step=0.01, every=1):
    def rate(x, y, z):
        return 10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z

    return _integrate(rate, (1.5, 1.7, 1.9), step, count * every, 3000)[::every]


@cache
def rossler(count, step=0.1):
    def rate(x, y, z):
        return -y - z, x + 0.2 * y, 0.2 + z * (x - 5.7)

    return _integrate(rate, (1.5, 1.7, 1.9), step, count, 2000)


@cache
def van_der_pol(count, step=0.05):
    def rate(x, y):
        return y, 3 * (1 - x * x) * y - x

    return _integrate(rate, (1.0, 1.0), step, count, 2000)


def logistic(count, r=4.0, x=0.3123):
    out = np.empty(count)
    for i in range(-500, count):
        x = r * x * (1 - x)
        if i >= 0:
            out[i] = x
    return out


def henon(count, x=0.1, y=0.1):
    out = np.empty(count)
    for i in range(-500, count):
        x, y = 1 - 1.4 * x * x + y, 0.3 * x
        if i >= 0:
            out[i] = x
    return out


def autoregressive(count, *weights, seed=0):
    random = np.random.default_rng(seed)
    noise = random.normal(size=count + 200)
    out = np.zeros(count + 200)
    for i in range(len(weights), count + 200):
        out[i] = noise[i] + sum(w * out[i - 1 - j] for j, w in enumerate(weights))
    return out[200:]

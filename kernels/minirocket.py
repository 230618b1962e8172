"""MiniRocket without training: how often small wavelets exceed fixed thresholds.

The 84 kernels have nine weights, three of them 2 and six -1 (Dempster, Schmidt & Webb 2021). Each
is laid over the shape at four dilations, every other one only where it fits; a feature is the
share of positions where the response exceeds one threshold. The paper draws thresholds from the
training set; here they are fixed for ever, so that vectors of different collections mean the
same. They are quantiles of the responses to 128 random walks and 128 sines, in the paper's
low-discrepancy order; a test derives them anew.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.compile import jit
from kernels.series import Floats

Singles = NDArray[np.float32]

DILATIONS = (1, 3, 10, 31)
"""The paper's choice for 256 points and 336 features: evenly spaced exponents, up to the length."""

KERNELS_PER_DILATION = 84

COUNT = KERNELS_PER_DILATION * len(DILATIONS)

_TABLE = """
0.668 -1.527 2.310 -0.062 -2.710 0.653 -0.498 5.552 0.258 -1.291 0.978 -0.171
-4.471 0.492 -0.651 1.120 0.023 -1.052 0.607 -0.202 1.781 0.053 -0.398 0.579
-0.061 -2.003 0.414 -0.563 4.308 0.169 -1.411 0.747 -0.179 -5.943 0.388 -0.654
0.975 -0.006 -0.971 0.453 -0.182 0.629 0.072 -0.462 0.499 -0.114 -2.410 0.368
-0.704 2.324 0.052 -0.922 0.327 -0.131 7.059 0.072 -0.394 0.691 -0.048 -1.418
0.384 -0.411 2.568 0.143 -1.058 0.662 -0.160 -2.581 0.285 -0.597 1.613 -0.029
-1.934 0.942 -0.411 5.489 0.266 -1.277 1.692 -0.273 -5.217 0.800 -1.080 5.149
0.341 -3.657 2.306 -0.733 -9.226 0.758 -1.606 3.685 -0.053 -3.419 1.143 -0.778
4.538 0.499 -1.902 1.282 -0.217 -4.706 0.675 -0.742 1.732 0.021 -1.838 0.758
-0.415 7.806 0.394 -1.890 3.261 -0.224 -4.008 0.906 -0.742 4.140 0.335 -1.868
1.017 -0.237 -5.657 0.543 -0.712 0.896 -0.044 -2.095 0.609 -0.519 5.647 0.337
-2.119 2.291 -0.241 -4.204 0.378 -0.532 3.236 0.039 -1.366 0.908 -0.351 8.124
0.380 -1.381 2.336 -0.261 -3.545 0.863 -0.700 3.838 0.203 -1.709 1.722 -0.516
-4.873 0.995 -1.358 3.412 -0.061 -3.482 1.584 -1.191 8.110 0.717 -2.633 3.953
-0.340 -7.163 2.220 -2.007 5.231 0.644 -4.105 3.912 -0.933 -8.224 1.131 -2.146
3.812 0.146 -3.930 1.431 -0.958 5.336 0.610 -2.059 1.873 -0.303 -5.957 0.861
-1.553 4.395 0.129 -4.472 3.214 -1.184 7.967 1.022 -2.307 3.332 -0.311 -4.127
1.176 -0.914 4.660 0.529 -2.132 0.914 -0.486 -6.626 0.731 -1.517 3.726 -0.237
-4.725 2.423 -1.383 5.567 0.406 -2.150 3.291 -0.313 -4.090 0.954 -1.420 3.388
0.076 -3.247 2.240 -1.505 -11.853 0.842 -2.220 2.983 -0.326 -3.921 1.721 -1.735
5.122 0.388 -3.552 3.367 -0.936 -7.195 1.467 -2.930 5.633 -0.332 -5.292 3.154
-1.536 7.797 2.718 -2.717 6.216 -0.464 -7.920 2.337 -2.197 4.644 0.937 -3.555
3.882 -0.930 -8.943 0.966 -2.660 3.977 -0.115 -4.242 1.659 -1.292 8.090 0.690
-3.751 3.658 -1.120 -6.628 2.841 -2.372 6.356 0.224 -4.350 2.956 -1.340 9.954
1.301 -2.285 3.924 -0.325 -4.504 1.252 -1.265 5.503 0.460 -2.953 3.641 -0.934
-8.511 1.814 -3.638 4.323 -0.167 -4.447 3.232 -1.357 7.985 0.699 -3.169 2.768
-0.516 -5.395 2.036 -2.105 7.050 0.333 -5.438 2.707 -1.983 -9.573 1.022 -2.582
4.749 -0.293 -7.013 2.565 -3.186 6.238 0.614 -3.484 5.052 -1.035 -9.601 1.399
"""

BIASES: Singles = np.array(_TABLE.split(), np.float32)
_DILATIONS = np.array(DILATIONS, np.int64)


def shares(shapes: Floats) -> Floats:
    """Features of standardised shapes, shape (count, COUNT): dilations slow, kernels fast."""
    out = np.empty((len(shapes), COUNT))
    _shares(shapes.astype(np.float32), _DILATIONS, BIASES, out)
    return out


@jit
def _shares(shapes: Singles, dilations: NDArray[np.int64], biases: Singles, out: Floats) -> None:
    """In float32: twice as many positions in one instruction.

    A response is minus the sum of all nine samples plus three times those of weight 2. Sums of
    two of the three are shared by all kernels that have them.
    """
    n = shapes.shape[1]
    pad = 4 * dilations[dilations.size - 1]
    x = np.zeros(n + 2 * pad, np.float32)
    thrice = np.empty((9, n), np.float32)
    minus = np.empty(n, np.float32)
    two = np.empty(n, np.float32)
    for row in range(shapes.shape[0]):
        for i in range(n):
            x[pad + i] = shapes[row, i]
        feature = 0
        for d in range(dilations.size):
            dilation = dilations[d]
            minus[:] = np.float32(0)
            for k in range(9):
                start = pad + (k - 4) * dilation
                samples, out_k = x[start : start + n], thrice[k]
                for i in range(n):
                    out_k[i] = np.float32(3) * samples[i]
                    minus[i] -= samples[i]
            for a in range(7):
                for b in range(a + 1, 8):
                    first, second = thrice[a], thrice[b]
                    for i in range(n):
                        two[i] = minus[i] + first[i] + second[i]
                    for c in range(b + 1, 9):
                        edge = 4 * dilation if (feature + d) % 2 else 0
                        rest, third = two[edge : n - edge], thrice[c][edge : n - edge]
                        bias = biases[feature]
                        count = 0
                        for i in range(rest.size):
                            count += rest[i] + third[i] > bias
                        out[row, feature] = count / rest.size
                        feature += 1

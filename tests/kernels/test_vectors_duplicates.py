"""Near-duplicates are found, and nothing else is taken for one."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.vectors import near_duplicates
from tests.kernels import naive_vectors as naive
from tests.kernels.strategies import checked
from tests.kernels.test_vectors import matrices


@checked
@given(matrices(wide=6), st.sampled_from([0.5, 0.9, 0.98, 1.0]))
def test_owners_are_those_of_the_definition(rows, threshold):
    owners = near_duplicates(rows, threshold).tolist()

    wanted = naive.owners(rows.tolist(), threshold)
    cosine = {
        (i, j): naive.score(rows[i], rows[j], "cosine") for i, j in enumerate(owners) if i != j
    }
    assert [i == j for i, j in enumerate(owners)] == [i == j for i, j in enumerate(wanted)]
    for (i, _), value in cosine.items():  # of nearly equal owners either may be chosen
        assert value == pytest.approx(naive.score(rows[i], rows[wanted[i]], "cosine"), abs=1e-6)


@pytest.mark.parametrize("share", [0.2, 0.4])
@pytest.mark.parametrize("kind", ["clustered", "unstructured"])
def test_planted_duplicates_are_found_without_false_merges(share, kind):
    random = np.random.default_rng(8)
    count, d = (2000, 384) if not numba.config.DISABLE_JIT else (200, 384)
    originals = round(count * (1 - share))
    rows = random.normal(size=(originals, d))
    if kind == "clustered":
        rows = 0.5 * rows + 1.5 * random.normal(size=(40, d))[random.integers(0, 40, originals)]
    source = random.integers(0, originals, count - originals)
    copies = rows[source] + 0.1 * random.normal(size=(count - originals, d))

    owners = near_duplicates(np.concatenate([rows, copies]), 0.98)

    found = np.mean(owners[originals:] == source)
    merged = np.mean(owners[:originals] != np.arange(originals))
    assert found >= 0.99
    assert merged < 0.001


def alike(count, cosine, d=384):
    """Rows around one direction, each pair at about the same cosine."""
    random = np.random.default_rng(4)
    own = random.normal(size=(count, d))
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    return np.sqrt(cosine) * np.eye(d)[0] + np.sqrt(1 - cosine) * own


def test_what_is_alike_but_not_the_same_is_told_apart_exactly():
    count = 300 if not numba.config.DISABLE_JIT else 70
    rows = alike(count, 0.979)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    products = unit @ unit.T
    expected, kept = np.arange(count), []
    for row in range(count):
        best = max(kept, key=lambda other: products[row, other], default=row)
        if kept and products[row, best] >= 0.98:
            expected[row] = best
        else:
            kept.append(row)

    assert 10 < len(kept) < count
    assert near_duplicates(rows, 0.98).tolist() == expected.tolist()


def test_whoever_watches_hears_how_far_it_is_and_may_stop_it():
    heard = []

    def watch(done, total):
        heard.append((done, total))
        if done:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        near_duplicates(np.eye(130, 4), watch=watch)
    assert heard == [(0, 130), (64, 130)]


def test_scale_does_not_matter_and_zeros_repeat_each_other():
    rows = [[0, 0], [1, 2], [0, 0], [100, 200], [-1, -2]]

    assert near_duplicates(rows, 1.0).tolist() == [0, 1, 0, 1, 4]


@pytest.mark.parametrize(
    ("rows", "threshold", "message"),
    [
        ([[1.0]], 0.0, "threshold is 0"),
        ([[1.0]], 1.5, "threshold is 1.5"),
        ([[np.nan]], 0.9, "row 0"),
        (np.ones((200_001, 1)), 0.9, "at most 200000"),
    ],
)
def test_bad_input_says_what_is_wrong(rows, threshold, message):
    with pytest.raises(ValueError, match=message):
        near_duplicates(rows, threshold)

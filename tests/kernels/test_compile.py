"""Kernels are compiled once, survive a fork, and import where nothing can be written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from kernels import attractor, dtw, embedding, vectors, warm
from kernels.compile import KERNELS, compiled_signatures
from tests.kernels.strategies import in_other_clothes

ROOT = Path(__file__).resolve().parents[2]
compiled = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="numba is disabled")


def run(program, **environment):
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@compiled
def test_every_kernel_is_compiled_for_one_signature_whatever_the_input():
    warm.warm()
    before = {name: compiled_signatures(k) for name, k in KERNELS.items()}
    x = np.round(np.random.default_rng(0).normal(size=200) * 8)
    clothes = [*in_other_clothes(x), x.astype(np.float32), x.astype(np.int16), x.astype(">f4")]

    for other in clothes:
        attractor.analyze(other)
        attractor.permutation_entropy(other)
        dtw.dtw_distance(other, x, np.int32(3), np.float32(9.0))
        dtw.dtw_distance(other, x, 3, 9)
        dtw.nearest(other, [x, x[:50]], 4, 2)
        dtw.nearest(other, np.stack([x, x]), np.int8(4))
        dtw.pairwise([other, x[:50]], 4)
        dtw.lb_improved(other, x, 4)
        dtw.dtw_path(other, x[:50])
        dtw.subsequence(x[:20], other)
        dtw.wdtw(other, x, 3, np.float32(0.25), 9)
        dtw.msm(other, x, 3, 1, np.float32(9))
        dtw.envelope(other, 3)
        embedding.seed_features(other)
        embedding.minirocket_features(other)
        for code in (vectors.quantize_int8, vectors.quantize_int4, vectors.sign_codes):
            vectors.top_k(code([other, x]), other, np.int8(1), [True, False])
        vectors.near_duplicates([other, x])

    after = {name: compiled_signatures(k) for name, k in KERNELS.items()}
    assert after == before
    assert max(after.values()) == 1


@compiled
def test_warming_compiles_every_kernel_that_python_calls():
    inlined = {"_build", "_gap", "_widest", "_halve", "_insert", "keep"}
    inlined |= {"_look", "_near", "_scores", "_any_above"}
    inlined |= {
        "_valid",
        "_screen",
        "_by_rows",
        "_by_diagonals",
        "_add_channels",
        "_fold",
        "_add_gaps",
        "_total",
    }
    inlined |= {"_accumulate", "_walk_back", "_edit", "improved", "_resample"}
    inlined |= {"_standardise", "_pattern_entropy"}
    inlined |= {"_is_finite", "_load", "_compute", "_combine", "_window", "_suffix", "_double"}
    inlined |= {"_blocks", "_chain", "_reverse", "_flip", "stream", "_delay", "_running"}
    inlined |= {"_ahead", "_behind", "_child"}
    inlined |= {"_differing", "_apart", "_ones", "_cosine"}

    ticks = iter(range(1000))
    seconds = warm.warm(lambda: float(next(ticks)))

    assert set(seconds.values()) == {1.0}
    missing = set(KERNELS) - warm.ready()
    assert {name.rsplit(".", 1)[1] for name in missing} <= inlined


@compiled
def test_no_kernel_is_parallel_or_fast_and_loose():
    for kernel in KERNELS.values():
        options = kernel.targetoptions
        assert not options.get("parallel")
        assert not options.get("fastmath")
        assert options["nogil"]


def test_a_forked_child_computes_with_what_its_parent_warmed():
    program = """
import os, json
from kernels import warm, dtw
warm.warm()
read, write = os.pipe()
child = os.fork()
if child == 0:
    os.write(write, json.dumps(dtw.dtw_distance([0.0, 1.0], [0.0, 3.0])).encode())
    os._exit(0)
_, status = os.waitpid(child, 0)
print(json.dumps([status, json.loads(os.read(read, 100))]))
"""
    assert json.loads(run(program)) == [0, 2.0]


def test_kernels_work_where_no_cache_can_be_kept():
    program = """
import numba.core.caching as caching
caching.CacheImpl._locator_classes = []
from kernels import dtw
print(dtw.dtw_distance([0.0, 1.0], [0.0, 3.0]))
"""
    assert run(program).strip() == "2.0"


def test_kernels_import_nothing_that_is_not_pure():
    program = """
import sys
import kernels.attractor, kernels.dtw, kernels.embedding, kernels.warm
print([m for m in ("django", "celery", "kombu", "redis", "socket_server") if m in sys.modules])
"""
    assert run(program).strip() == "[]"


def test_without_compiling_the_answers_are_the_same():
    program = """
import json, numpy as np
from kernels import attractor, dtw, embedding
x = np.round(np.random.default_rng(1).normal(size=120), 2)
report = attractor.analyze(x, "fast").as_dict()
print(json.dumps([report, dtw.dtw_distance(x, x[::-1], 9), embedding.seed_features(x).tolist()]))
"""
    plain, fast = (json.loads(run(program, NUMBA_DISABLE_JIT=flag)) for flag in "10")

    assert plain[0]["kind"] == fast[0]["kind"]
    assert plain[1] == pytest.approx(fast[1])
    assert plain[2] == pytest.approx(fast[2], rel=1e-4, abs=1e-5)

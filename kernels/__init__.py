"""Numerical kernels: arrays in, values out, and nothing else.

What is promised
----------------
* Pure. No Django, Celery, Redis, clock or network; no state but compiled code. The simulator,
  a test and a live worker call the same functions and get the same numbers.
* One boundary. Whatever array-like comes in is checked and converted once (`series`): finite,
  one-dimensional, float64, contiguous, writable. Anything else is a ValueError that says what
  was wrong, where, and what to pass instead. Behind the boundary nothing is checked again.
* One compile per kernel. Since all arrays look alike there, no task ever waits for a second
  specialisation (half a second each). A test counts them.
* Scale does not matter where it should not: the analysis of a series in volts is the analysis
  of the same series in millivolts with an offset.
* An honest "unknown". A classifier that must answer calls a straight line chaotic; this one
  says which question it could not answer and why.

How it is laid out
------------------
::

    attractor ─┬─ lyapunov ─┬─ divergence        dtw ─┬─ dtw_search    embedding ─┬─ minirocket
               │            ├─ neighbours             ├─ dtw_align               ├─ blocks, shapes
               │            └─ delay, lines           ├─ dtw_elastic             ├─ prototypes
               │                                      └─ points (boundary)       └─ scaler
               ├─ correlation, recurrence, embedding_dimension, chaos, fractal
               ├─ settling, periodicity, entropy, surrogates
    vectors ─── duplicates, rows (boundary of vectors)
    temporal_logic (a package)      trees ─── tree_packing, tree_walking      forecast
    ───────────┴───────────── series (boundary), compile (one decorator) ─────────────

Public names live in `attractor`, `dtw`, `embedding`, `vectors`, `temporal_logic`, `trees` and
`forecast`; `warm.warm()` compiles everything before a worker forks, so that children inherit
machine code by copy-on-write.

Rules for a new kernel
----------------------
Typed public function outside, private `@jit` core inside; never `parallel=True` (a forked child
that enters an OpenMP region is killed; parallelism here is processes and GIL-free threads),
never full fast-math (it breaks comparisons with infinity, which dynamic programming needs).
A core calls only cores of its own file: numba's disk cache watches one file per kernel. The one
exception is `products`, which `scans` and `coarse` inline: whoever changes it touches them. Each
has a slow twin in `tests/kernels/naive*.py`. What a library does better stays there: FFT and
linear algebra are numpy's.
"""

from __future__ import annotations

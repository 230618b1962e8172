"""Pattern memory: vectors that were seen, how often, and which of them a new one is like.

What is promised
----------------
* Rows are the truth. A pattern is in memory when the transaction that added it has committed, and
  a process killed a moment later loses nothing that was answered. Indexes are caches: delete
  `ANSF_STATE_DIR/patterns` at any time, and the next search makes them anew.
* What was added is found by the next search, in every process. A search asks the database one
  thing, the namespace's row; if its number of changes has grown, the rows that changed are read.
* Near-duplicates are one pattern with a count and the mean of their vectors. Two processes that
  add the same at once cannot both miss the other: a change holds the namespace's row.
* Nothing is missed for being rare: int8 codes of all vectors are compared, a mask leaves out what
  a filter or a deletion rules out, and the best few (66 for ten) are ranked anew in float32.
* Every bound is stated: patterns per namespace (quota), per change and per query (1 000),
  metadata (8 kB), conditions of a filter (8), bytes of indexes on the disk.

How a search goes
-----------------
::

    series ──encoder──▶ vector ──scaler, length 1──▶ query
                                                       │
    rows ─changes─▶ tail ─4 096─▶ segments             ▼
                      └──────────────┴── codes int8: scan, mask ──▶ 66 ──float32──▶ 10

Vectors are stored as encoded. What makes dimensions comparable, the *scaler*, is the namespace's
and has a version; learning it anew needs no series, only a new index. It is learnt by itself at 20,
200 and 2 000 patterns of an encoded namespace, later by `reindex --refit`; before the first, only
what is the same up to rounding is merged.

Scores grow with closeness: the cosine, or 1 / (1 + Euclidean distance); of equal ones the lower
id comes first.

What happens on failure
-----------------------
Damaged or missing files: logged, made anew from the rows. No room on the disk: the index stays in
memory. A transaction that is rolled back: its rows were seen by nobody else. A database that was
restored to an earlier state: noticed by its number of changes as long as that is lower than the
index's; after a restore, `patterns reindex` leaves no doubt. Another host that does not answer: an
error, never a shorter answer.

Rooms: `memory` (add, search, delete, reindex, stats), `namespaces` (their one writer), `merging`,
`encoders`, `filters`, `index/` (segments, snapshots, views), `backends/` (scan; faiss and pgvector
where they are installed; one suite of tests for all), `everywhere` (several namespaces and hosts),
`exchange` (NDJSON), `recurrence` and `picture` (`patterns match`).
"""

from __future__ import annotations

"""Answers given again: exactly, normalised, or to a question that has the same answer.

::

    request ──▶ scope (sha256 of all that must match)
                  │ one round trip: find.lua
                  ├─ L1 exact request ───────────▶ answer
                  ├─ L2 same words ──────────────▶ answer
                  │   miss: brings what is new in the scope
                  ├─ L3 MiniLM, int8 ─▶ 5 nearest ─▶ look.lua ─▶ vetoes, probability ≥ threshold
                  │                                                └─ serve.lua ──▶ answer
                  ├─ identical call under way? wait for it ─▶ answer
                  ▼
                model ──▶ store.lua (unless refused, truncated, void, fenced …)

What it promises
----------------
1. No answer leaves its scope (`scope`): tenant, visibility, user, model, tier, system prompt,
   tools, format, temperature, locale, earlier turns, embedder, epoch, tags … are hashed with their
   lengths; the entry keeps its scope, and each script checks it once more.
2. What is invalidated is not served by anybody from that moment on: each hit reads the entry and
   the times of invalidation in one script. An answer that was asked for before that moment and
   comes after it is not stored.
3. Errors, refusals, truncated and tool-calling answers are not kept.
4. Identical requests under way at the same time call the model once, across processes; whoever
   leads may fail or die, and the others go on (`coalescing`).
5. Redis away, flushed or restarted costs hits and nothing else: the wait is bounded, no error of
   Redis reaches a caller, and vectors of another generation are let go of.
6. A tenant's entries stay within its byte budget: what saved least for its bytes goes first.
7. An entry that was reported wrong needs a higher score; after two reports nobody gets it.

Who is who
----------
`policy`, `encoding`, `scope`, `exact`, `normalised`, `decision` are pure. `entries`, `index`,
`journal`, `similar`, `coalescing`, `misses` each have one part of the work, `response_cache` puts
them together; `invalidation`, `feedback`, `warming`, `explaining`, `statistics` are what people
ask of it. `keys`, `scripts`, `connection` are the way to Redis; `prelude.lua` names every key.
"""

from __future__ import annotations

from gateway.cache.lookup import Lookup, Stored, Ticket
from gateway.cache.policy import CachePolicy
from gateway.cache.response_cache import ResponseCache

__all__ = ["CachePolicy", "Lookup", "ResponseCache", "Stored", "Ticket"]

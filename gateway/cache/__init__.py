"""Answers given again: exactly, normalised, or to a question that has the same answer.

::

    request ──▶ scope (sha256 of all that must match)
                  │ one round trip: find.lua
                  ├─ L1 exact request ───────────▶ answer
                  ├─ L2 same words, plain prose ─▶ answer
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
3. Errors, refusals, truncated and tool-calling answers are not kept, nor what a model on trial
   said (`entries.refused`, `refusals`).
4. Identical requests under way at the same time call the model once, across processes; whoever
   leads may fail or die, and the others go on (`coalescing`).
5. Redis away, flushed or restarted costs hits and nothing else: the wait is bounded, no error of
   Redis reaches a caller, and vectors of another generation are let go of.
6. A tenant's entries stay within its byte budget, and what tenants share within the platform's:
   what saved least for its bytes goes first. Nobody is shown what another tenant asked.
7. An entry that was reported wrong needs a higher score; after two reports nobody gets it.
8. An entry that cannot be read, or that another version wrote, is a miss.

Who is who
----------
`policy`, `encoding`, `scope`, `exact`, `normalised`, `decision`, `refusals` are pure; so is
`replaying`, which does to a stream of prompts what lookups do. `entries`, `index`,
`journal`, `similar`, `coalescing`, `misses` each have one part of the work, `response_cache` puts
them together; `invalidation`, `feedback`, `warming`, `explaining`, `statistics` are what people
ask of it. `keys`, `scripts`, `connection` are the way to Redis; `prelude.lua` names every key.
"""

from __future__ import annotations

from gateway.cache.lookup import Lookup, Stored, Ticket
from gateway.cache.policy import CachePolicy
from gateway.cache.response_cache import ResponseCache

__all__ = ["CachePolicy", "Lookup", "ResponseCache", "Stored", "Ticket"]

"""One pipe for every call of a model: looked up, limited, routed, called, accounted.

    answer = complete(request)                  for chunk in stream(request): …
    answer = await acomplete(request)           async for chunk in astream(request): …

    scope ─▶ L1 exact ─▶ L2 normalised ─▶ L3 similar ─▶ an identical call under way?
                                                             │ none: this one leads
        ┌────────────────────────────────────────────────────┘
        ▼
      route ─▶ compress ─▶ [ limits ─▶ slot, breaker ─▶ budget ─▶ call ─▶ settle ─▶ ledger ]
                              └─ again after a pause, then the next model ─┘           │
                                                                          store ◀──────┘

`flow` reads as this picture. It is a generator that yields where it waits, so the same steps serve
threads and asyncio (`driving`), whole answers and streams.

What stands between a caller and the model is counted in round trips. To Redis: find (and look,
where the scope has similar questions), join, the limits if there are any, slot and breaker; after
the call settling with leaving and telling, and store. To the database: one statement for the
ledger, and a few more where a budget applies. What is in force is read, and the router's reasons
are written, beside the calls (`gateway.threads.later`).

What it promises
----------------
1. An answer is in the ledger exactly once, with the tokens that the provider told; where it told
   none, or what cannot be, with the tokens counted here. An error is in no ledger and no cache.
2. Limits and budgets are asked before *each* attempt and hold what the call may use at most; what
   it did use replaces that. The request of a failed attempt stays counted: it was made.
3. A stream is stored when it is complete. Who goes away ends the call at the provider; what had
   been said by then is paid, and nothing is stored. Before the first piece nothing is paid.
4. A failed attempt is tried again as the provider's row says, and no sooner than the provider
   asks; then the next model is tried, as long as nothing has been passed on.
5. Without Redis answers are not cached and identical calls not joined, the breaker is each
   process's own and limits do what their policies say; calls go on. Without the database no call
   is made that a budget or a limit would have to be asked about, and an answer that cannot be
   written down is not given.
"""

from __future__ import annotations

from gateway.pipe.driving import Asking, Chunk, acomplete, astream, complete, stream
from gateway.pipe.exchange import Terms
from gateway.pipe.surroundings import Surroundings, surroundings

__all__ = [
    "Asking",
    "Chunk",
    "Surroundings",
    "Terms",
    "acomplete",
    "astream",
    "complete",
    "stream",
    "surroundings",
]

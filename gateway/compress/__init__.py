"""Fewer tokens for the same prompt: pure, deterministic, idempotent, and nothing protected is lost.

::

    turns ──▶ blocks ──▶ packing (JSON, blanks) ──▶ wording ──▶ repetition ──▶ selection (budget)
                 └ code: untouched                     └ phrases.yaml   └ sentences │
                                         protected spans: numbers, units, code, URLs, quotes,
                                         negations, names, template variables

* Without a budget nothing that says something is left out: blanks, JSON's white space, a table's
  repeated keys, courtesies, and sentences that were said before.
* With a budget, sentences go by relevance, but never the last mention of a protected span. A
  budget that cannot be met without that is not met, and the result says so.
* What a turn loses depends on what it is (`tidying`): instructions lose no sentence, the last turns
  no question and not their end, pinned ones nothing; JSON that shows a format stays as it is.
* No turn is emptied: of what a budget takes wholly, `…` is left.
* A compressed prompt is another prompt: its answer is cached under its own scope.

A short question of a person gains next to nothing; retrieved passages with overlap, tool results
and long chats gain a third and more (``manage.py bench compress``).
"""

from __future__ import annotations

from gateway.compress.pipeline import Compressed, Options, Turn, compress
from gateway.compress.protected import protected_spans

__all__ = ["Compressed", "Options", "Turn", "compress", "protected_spans"]

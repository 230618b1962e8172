"""Do two questions have the same answer? Evidence, vetoes and a calibrated probability.

An embedding finds what a question is about and misses what makes its answer: "turn it on" lies
beside "turn it off", Leeds beside Oxford. So the nearest entries of a cache are only candidates::

    words ──▶ alignment ──▶ evidence ──▶ score (logistic, weights.json) ──▶ probability
      ▲                └──▶ vetoes ─────────────▲
    lexicon.yaml

* `words` reads a text once: noise goes, several ways of asking become one word.
* `alignment` pairs words (equal, misspelt, synonyms) and says what is left over.
* `vetoes` names what forbids one answer for both: numbers, negation, antonyms, names, direction,
  code. A vetoed pair is never served.
* `score` turns the evidence into a probability; `fitting` fits it, `evaluation` judges it.

Everything here is pure: texts and vectors in, figures out.
"""

from __future__ import annotations

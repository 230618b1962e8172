"""Runs in aeon's own environment: answers and times its distances, one JSON line per request.

Alone in its process, because aeon needs an older numba than ANSF. A request has `function`, `x`,
`y`, `arguments` and `repeats`; the answer has `value` and `seconds` per call (after one unmeasured
call, which may compile). Imports nothing of ANSF.
"""

from __future__ import annotations

import importlib
import json
import sys
from timeit import default_timer
from typing import Any

numpy = importlib.import_module("numpy")
distances = importlib.import_module("aeon.distances")


def answer(request: dict[str, Any]) -> dict[str, float]:
    """The value, and the mean time of `repeats` calls."""
    function = getattr(distances, request["function"])
    x, y = (numpy.array(request[name], numpy.float64) for name in ("x", "y"))
    arguments, repeats = request["arguments"], request["repeats"]
    value = float(function(x, y, **arguments))
    begun = default_timer()
    for _ in range(repeats):
        function(x, y, **arguments)
    return {"value": value, "seconds": (default_timer() - begun) / max(1, repeats)}


for line in sys.stdin:
    sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
    sys.stdout.flush()

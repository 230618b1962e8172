"""``stream.window_batch``: what `manage.py stream` has the swarms do.

A task gets new samples of some sources, behind those that are needed to judge them, embeds and
matches the windows that they complete, forecasts their last steps, and says what the formulas are
worth at the samples that are final now. JSON knows no infinity: ±∞ is ±1.8e308.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from celery import shared_task

from kernels.series import Floats, as_series
from patterns import namespaces
from patterns.errors import PatternError
from workers.context import GiveUp
from workers.handlers.looking import told
from workers.handlers.recall import tenant_of_task
from workers.streaming import plan as plans
from workers.streaming.here import by_chunk
from workers.streaming.sources import Chunk
from workers.streaming.watching import formula_values
from workers.streaming.windows import Found, Judge

MAX_CHUNKS = 10_000
MAX_WINDOWS = 10_000
MAX_SAMPLES = 1_000_000
"""Of all chunks and signals together."""
TOGETHER = 256
"""Windows that are judged between two looks at the cancel flag: about 50 ms."""

_LARGEST = sys.float_info.max
SCHEMAS: dict[str, dict[str, Any]] = {
    "stream.window_batch": {
        "type": "object",
        "required": ["plan", "chunks"],
        "additionalProperties": False,
        "properties": {
            "plan": {"type": "object"},
            "chunks": {"type": "array", "maxItems": MAX_CHUNKS, "items": {"type": "object"}},
        },
    },
}


@shared_task(name="stream.window_batch")
def window_batch(plan: dict[str, Any], chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """What was found in the windows of each chunk, and by name the values of each formula."""
    try:
        asked = plans.Plan.from_dict(plan)
        watched = [plans.Watched(text) for text in asked.formulas]
        taken = [_chunk(told) for told in chunks]
        _check_size(taken)
        namespace = None
        if asked.namespace:
            namespace = namespaces.named(tenant_of_task(), asked.namespace)
        found = list(_judged(Judge(asked, namespace), taken))
        formulas = []
        for done, chunk in enumerate(taken, len(found)):
            told(done, len(found) + len(taken), "windows and chunks")
            formulas.append(formula_values(watched, chunk))
    except (KeyError, TypeError, ValueError, PatternError) as error:
        raise GiveUp(str(error)) from error
    return {
        "windows": [[one.as_dict() for one in part] for part in by_chunk(taken, found)],
        "formulas": [
            {
                text: [first, np.clip(values, -_LARGEST, _LARGEST).tolist()]
                for text, (first, values) in by_text.items()
            }
            for by_text in formulas
        ],
    }


def _chunk(told: Mapping[str, Any]) -> Chunk:
    signals = {str(name): as_series(values, name) for name, values in told["signals"].items()}
    sizes = {values.size for values in signals.values()}
    starts = [int(start) for start in told["starts"]]
    size, fresh = max(sizes, default=0), int(told["fresh"])
    if len(sizes) != 1 or not 0 <= fresh <= size or min(starts, default=0) < 0:
        raise GiveUp("signals of one length, with the number of new samples, are needed")
    return Chunk("", int(told["first"]), fresh, signals, str(told["window"]), starts)


def _check_size(chunks: Sequence[Chunk]) -> None:
    samples = sum(values.size for chunk in chunks for values in chunk.signals.values())
    windows = sum(len(chunk.starts) for chunk in chunks)
    if samples > MAX_SAMPLES or windows > MAX_WINDOWS:
        raise GiveUp(
            f"{samples} samples with {windows} windows are more than a task takes "
            f"({MAX_SAMPLES} and {MAX_WINDOWS}): split it"
        )


def _judged(judge: Judge, chunks: Sequence[Chunk]) -> Iterator[Found]:
    length = judge.plan.length
    windows: list[Floats] = [window for chunk in chunks for window in chunk.cut(length)]
    if any(window.size != length for window in windows):
        raise GiveUp(f"a window reaches beyond its samples: {length} are needed")
    for start in range(0, len(windows), TOGETHER):
        told(start, len(windows) + len(chunks), "windows and chunks")
        yield from judge.judge(windows[start : start + TOGETHER])

"""The demo's own handlers, beside those that come with the platform."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from dashboard.demo import judging
from dashboard.demo.windows import digest, standardise
from workers.context import GiveUp


@shared_task(name="demo.cut")
def cut(samples: list[float], mean: float, deviation: float) -> dict[str, Any]:
    """A window in standard deviations of its series."""
    return {"samples": standardise(samples, mean, deviation)}


@shared_task(name="demo.verify")
def verify(samples: list[float], expected: str) -> dict[str, Any]:
    """That the samples which all others read are those that were submitted, bit for bit."""
    found = digest(samples)
    if found != expected:
        raise GiveUp(f"the recorded samples have the digest {found[:12]}…, not {expected[:12]}…")
    return {"digest": found}


@shared_task(name="demo.compare")
def compare(
    distances: list[float],
    vectors: list[list[float]],
    kinds: list[str],
    starts: list[int],
    length: int,
) -> dict[str, Any]:
    """What is usual among all windows of a series."""
    return judging.compare(distances, vectors, kinds, starts, length)


@shared_task(name="demo.flag")
def flag(
    *,
    index: int,
    distance: float,
    nearest: int,
    kind: str,
    usual: dict[str, Any],
    apart: list[int],
) -> dict[str, Any]:
    """Whether one window is discordant; `nearest` counts among the windows `apart` from it."""
    verdict = judging.judge(index, distance, kind, usual)
    return {**verdict, "nearest": apart[nearest], "reasons": judging.reasons(verdict)}


@shared_task(name="demo.summarise")
def summarise(
    flags: list[dict[str, Any]], digests: list[str], usual: dict[str, Any]
) -> dict[str, Any]:
    """A series in a few figures, once every window is judged and verified."""
    discordant = [verdict["index"] for verdict in flags if verdict["discordant"]]
    least_typical = max(flags, key=lambda verdict: verdict["distance_score"])
    return {
        "windows": len(flags),
        "verified": len(digests),
        "discordant": discordant,
        "least_typical": least_typical["index"],
        "kinds": usual["kinds"],
        "median_distance": usual["distance"][0],
    }

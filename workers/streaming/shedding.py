"""What to leave out when there is more to do than time: whole windows, the slowest stage first.

A sample waits while the batch before it is judged, and then for its own batch; so one batch may
take half of the time that a sample has.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workers.streaming.plan import Stage

_WEIGHT = 0.2
"""Of the newest batch in the estimate of what a window costs."""


class Shedder:
    """Knows what a window costs at each stage, and what there is time for."""

    def __init__(self, target: float) -> None:
        self.target = target
        self.costs: dict[Stage, float] = {}
        """Seconds for one window."""

    def learn(self, stage: Stage, windows: int, seconds: float) -> None:
        """So many windows took so long."""
        if windows:
            newest = seconds / windows
            known = self.costs.get(stage, newest)
            self.costs[stage] = known + _WEIGHT * (newest - known)

    def leave_out(
        self, windows: int, stages: Sequence[Stage], spent: float
    ) -> dict[Stage, list[int]]:
        """Which of so many windows each stage skips, `spent` seconds into a batch.

        Those that stay are spread evenly.
        """
        left = self.target / 2 - spent
        costs = {stage: self.costs.get(stage, 0.0) for stage in stages}
        found: dict[Stage, list[int]] = {}
        for stage in sorted(stages, key=costs.__getitem__, reverse=True):
            total = windows * sum(costs.values())
            if total <= left:
                break
            own = costs.pop(stage)
            rest = left - windows * sum(costs.values())
            kept = max(0, min(windows, int(rest / own))) if own else 0
            stays = set(np.linspace(0, windows - 1, kept).astype(int).tolist()) if kept else set()
            found[stage] = [place for place in range(windows) if place not in stays]
        return found

"""What is asked of a stream: which windows, compared with what, under which formulas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from kernels import temporal_logic
from kernels.forecast import MAX_PERIOD

Stage = Literal["match", "forecast"]
SHORTEST, LONGEST = 8, 4096
"""Samples of a window."""
MAX_FORMULAS = 20
MAX_CONTEXT = 100_000
"""Samples that a formula may look back and ahead together."""
TRAVELS = 4096
"""As far as that, a formula is watched by tasks, which are sent what it looks at."""


class Refused(ValueError):
    """What was asked for cannot be; one line says why and what would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Windows of `length` samples every `step`, and what is done with them."""

    length: int = 128
    step: int = 32
    signal: str = ""
    """Which signal the windows are of; empty: `value`, or the source's first."""
    namespace: str = ""
    least: float = 0.5
    """Score of the nearest pattern below which a window is unknown."""
    period: int = 0
    """Of the forecast, in samples; 1: no season, 0: no forecast."""
    formulas: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises Refused naming what is wrong."""
        if not SHORTEST <= self.length <= LONGEST or not 1 <= self.step <= self.length:
            raise Refused(
                f"windows of {self.length} samples every {self.step}: windows have {SHORTEST} to "
                f"{LONGEST} samples and begin 1 to so many apart"
            )
        if not (self.namespace or self.period or self.formulas):
            raise Refused(
                "nothing to judge by: add --formula 'value < 5', --namespace SLUG or --forecast"
            )
        if self.period > MAX_PERIOD or (self.period and self.past < max(4, 2 * self.period)):
            raise Refused(
                f"a forecast with a period of {self.period} needs two of them (4 samples at least) "
                f"before the last step: windows of {self.length} by {self.step} have {self.past}"
            )
        if len(self.formulas) > MAX_FORMULAS:
            raise Refused(f"{len(self.formulas)} formulas are more than {MAX_FORMULAS}")

    @property
    def windowed(self) -> bool:
        """Whether windows are looked at."""
        return bool(self.namespace or self.period)

    @property
    def stages(self) -> list[Stage]:
        """What is done with windows."""
        asked: dict[Stage, bool] = {"match": bool(self.namespace), "forecast": self.period > 0}
        return [stage for stage, wanted in asked.items() if wanted]

    @property
    def past(self) -> int:
        """Samples of a window that its last step is forecast from."""
        return self.length - self.step

    def as_dict(self) -> dict[str, Any]:
        """What JSON can hold."""
        return asdict(self) | {"formulas": list(self.formulas)}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Plan:
        """What `as_dict` gave. Raises Refused."""
        try:
            plan = cls(**{**told, "formulas": tuple(told.get("formulas", ()))})
            plan.check()
        except TypeError as error:
            raise Refused(f"not a plan: {error}") from error
        return plan


class Watched:
    """A formula, and how much of the stream its values depend on."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.formula = temporal_logic.parse(text)
        if self.context is not None and self.context > MAX_CONTEXT:
            raise Refused(
                f"{text} looks at {self.context} samples around each, at most {MAX_CONTEXT}: "
                "take smaller bounds, or fewer samples"
            )
        self.monitor()  # raises ValueError for what cannot be watched

    @property
    def names(self) -> tuple[str, ...]:
        """The signals it speaks of."""
        return self.formula.names

    @cached_property
    def context(self) -> int | None:
        """Samples before a new one that the values it completes depend on; None: all of them."""
        back = self.formula.pool.history(self.formula.root)
        if back is None or self.formula.horizon is None:
            return None
        return back + self.monitor().horizon

    @property
    def travels(self) -> bool:
        """Whether a task can be sent all that it depends on."""
        return self.context is not None and self.context <= TRAVELS

    @property
    def reach(self) -> int:
        """How many samples old a position may be when its value is told."""
        return 0 if self.formula.horizon is None else self.monitor().horizon

    @property
    def endless(self) -> bool:
        """Whether it is judged at the first sample only."""
        return self.formula.horizon is None

    def monitor(self) -> temporal_logic.Monitor:
        """A new monitor of it. Raises ValueError when it cannot be watched."""
        return temporal_logic.Monitor(self.formula, intervals=False)

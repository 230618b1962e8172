"""What is told of a stream: a line for each verdict, for what was left out, and a summary."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansf_platform.screen import Screen, cell
from workers.streaming.here import Judged
from workers.streaming.latency import Latencies
from workers.streaming.lines import BadLine
from workers.streaming.plan import Plan
from workers.streaming.sources import Chunk
from workers.streaming.watching import Turn
from workers.streaming.windows import Found

BAD_LINES_TOLD = 5
"""Each with its reason; after that their number, now and then."""
TOLD_EVERY_S = 1.0
_LARGEST = sys.float_info.max

Line = dict[str, Any]


class Report:
    """Counts, and writes lines; `only_anomalies` leaves out verdicts that are none."""

    def __init__(
        self, plan: Plan, screen: Screen, write: Callable[[str], object], *,
        target: float, only_anomalies: bool = False,
    ) -> None:  # fmt: skip
        self.plan = plan
        self.screen = screen
        self.target = target
        self.only_anomalies = only_anomalies
        self.latencies = Latencies()
        self.samples = self.windows = self.verdicts = self.late = self.bad_lines = 0
        self.reasons: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.first_bad = ""
        self._write = write
        self._untold: Counter[str] = Counter()
        self._told_at = self._bad_told_at = self._began = time.monotonic()

    def begin(self) -> None:
        """From now on time counts."""
        self._began = time.monotonic()

    # --- verdicts
    def judged(self, judged: Judged) -> None:
        """Write the verdicts of a batch; then their latencies are known."""
        lines: list[Line] = []
        now = time.monotonic()
        for chunk, found, turns in zip(
            judged.batch.chunks, judged.found, judged.turns, strict=True
        ):
            waited = round(1000 * max(0.0, now - chunk.arrived), 3)
            if not judged.failed:
                lines += self._windows(chunk, found, waited)
            lines += [self._turn(chunk, turn, waited) for turn in turns]
        if judged.failed:
            self.lost("failed", judged.batch.windows)
            self.screen.note(f"{judged.failed}: {judged.batch.windows} windows were not judged")
        self._tell(lines)
        self._time(judged)
        self.tell_losses()

    def final(self, chunk: Chunk, turns: Iterable[Turn]) -> None:
        """Write what the end of the stream decided."""
        self._tell([self._turn(chunk, turn, 0.0) for turn in turns])

    def _windows(self, chunk: Chunk, found: Iterable[Found], waited: float) -> Iterable[Line]:
        for start, one in zip(chunk.starts, found, strict=True):
            for stage in one.missed:
                self.lost(stage, 1)
            if one.score is None and one.residual is None:
                continue
            self.windows += 1
            reasons = one.reasons(self.plan.least)
            first = chunk.first + start
            last = first + self.plan.length - 1
            line: Line = {
                "kind": "window",
                "verdict": "anomaly" if reasons else "ok",
                "source": chunk.source,
                "first": first,
                "last": last,
                "from": chunk.time(first),
                "to": chunk.time(last),
            }
            if reasons:
                line["reasons"] = reasons
                self.reasons.update(reasons)
            if one.score is not None:
                line |= {"pattern": one.pattern, "score": round(one.score, 4)}
                line["metadata"] = one.metadata
            if one.residual is not None:
                line["residual"] = round(one.residual, 4)
            if one.missed:
                line["left_out"] = one.missed
            yield line | {"latency_ms": waited}

    def _turn(self, chunk: Chunk, turn: Turn, waited: float) -> Line:
        if turn.violated:
            self.reasons["violated"] += 1
        line: Line = {
            "kind": "formula",
            "verdict": "violated" if turn.violated else "holds",
            "source": chunk.source,
            "formula": turn.formula,
            "at": turn.position,
            "t": chunk.time(turn.position),
            "robustness": _finite(turn.robustness),
        }
        if turn.lasted:
            line |= {"after": turn.lasted, "least": _finite(turn.least)}
        return line | {"latency_ms": waited}

    def _tell(self, lines: list[Line]) -> None:
        self.verdicts += len(lines)
        if self.only_anomalies:
            lines = [line for line in lines if line["verdict"] in {"anomaly", "violated"}]
        self._put(lines)

    def _put(self, lines: Iterable[Line]) -> None:
        if self.screen.live:
            for line in lines:
                bad = line.get("verdict") in {"anomaly", "violated"}
                self.screen.line(_readable(line), "red" if bad else "")
        elif lines:
            self._write("".join(f"{json.dumps(line)}\n" for line in lines))

    def _time(self, judged: Judged) -> None:
        now = time.monotonic()
        for at, count in judged.batch.reads:
            waited = now - at
            self.latencies.add(waited, count)
            self.samples += count
            if waited > self.target:
                if not self.late:
                    self.screen.note(
                        f"cannot keep up: a sample waited {1000 * waited:.0f} ms, "
                        f"{1000 * self.target:.0f} are wanted"
                    )
                self.late += count

    # --- what went wrong
    def bad(self, number: int, error: BadLine) -> None:
        """A line that cannot be used."""
        self.bad_lines += 1
        self.first_bad = self.first_bad or f"line {number} {error}"
        now = time.monotonic()
        if self.bad_lines <= BAD_LINES_TOLD:
            self.screen.note(f"line {number} {error}")
        elif now - self._bad_told_at > TOLD_EVERY_S:
            self.screen.note(f"line {number} {error} ({self.bad_lines} bad lines so far)")
        else:
            return
        self._bad_told_at = now

    def lost(self, what: str, count: int) -> None:
        """So many windows of a stage, or lines, were left out."""
        if count:
            self.dropped[what] += count
            self._untold[what] += count

    def tell_losses(self, *, at_once: bool = False) -> None:
        """Tell what was left out since the last time, once a second."""
        now = time.monotonic()
        if self._untold and (at_once or now - self._told_at > TOLD_EVERY_S):
            self._put([{"kind": "dropped", **self._untold}])
            self._untold.clear()
            self._told_at = now

    # --- the end
    def summary(self, values: int, sources: int, *, interrupted: bool) -> Line:
        """Counts and percentiles of the whole stream; written as the last line."""
        self.tell_losses(at_once=True)
        seconds = time.monotonic() - self._began
        p50, p95 = (self.latencies.percentile(share) for share in (0.5, 0.95))
        told: Line = {
            "kind": "summary",
            "samples": self.samples,
            "sources": sources,
            "seconds": round(seconds, 3),
            "samples_per_s": round(self.samples / max(seconds, 1e-9), 1),
            "windows": self.windows,
            "formula_values": values,
            "verdicts": self.verdicts,
            "anomalies": sum(self.reasons.values()),
            "reasons": dict(self.reasons),
            "p50_ms": p50 and round(1000 * p50, 3),
            "p95_ms": p95 and round(1000 * p95, 3),
            "late": self.late,
            "dropped": dict(self.dropped),
            "bad_lines": self.bad_lines,
            "interrupted": interrupted,
        }
        if self.screen.live:
            self.screen.line()
            self.screen.fields({key: value for key, value in told.items() if key != "kind"})
        else:
            self._put([told])
        return told


def _finite(value: float) -> float:
    return max(-_LARGEST, min(_LARGEST, value))


def _readable(line: Mapping[str, Any]) -> str:
    """A line for people."""
    if line["kind"] == "dropped":
        losses = ", ".join(f"{count} {what}" for what, count in line.items() if what != "kind")
        return f"left out: {losses}"
    is_window = line["kind"] == "window"
    when, at = (line["to"], line["last"]) if is_window else (line["t"], line["at"])
    head = f"{cell(at if when is None else when):>12}  {line['source']:<16}  {line['verdict']:<8}"
    if not is_window:
        after = f" after {line['after']} samples" if "after" in line else ""
        return f"{head}  {line['formula']}  {line['robustness']:.4g}{after}"
    told: list[str] = list(line.get("reasons", ()))
    if "score" in line:
        told.append(f"pattern {line['pattern']} {line['score']:.3f} {cell(line['metadata'])}")
    if "residual" in line:
        told.append(f"residual {line['residual']:.2f}")
    return f"{head}  {'  '.join(told)}"

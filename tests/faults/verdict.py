"""The line that a scenario ends with, counted from rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from django.db import connection

from benchmarks.handlers import executions
from coordination import selectors
from coordination.models import Attempt, Outcome, Status, Task

COLUMNS = (
    "attempted", "ok", "lost", "duplicate effects", "re-executed", "fenced", "charged",
    "recovery s",
)  # fmt: skip
COMMITTING = "bench.effect"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One scenario's figures; the package's docstring defines each."""

    scenario: str
    attempted: int
    ok: int
    duplicate_effects: int
    re_executed: int
    fenced: int
    charged: int
    recovery: float | None
    recovered_by: str = ""
    """From what until what `recovery` was measured."""
    remarks: tuple[str, ...] = ()

    @property
    def lost(self) -> int:
        return self.attempted - self.ok

    @property
    def cells(self) -> tuple[str, ...]:
        recovery = "-" if self.recovery is None else f"{self.recovery:.1f}"
        numbers = (
            self.attempted, self.ok, self.lost, self.duplicate_effects, self.re_executed,
            self.fenced, self.charged,
        )  # fmt: skip
        return (*map(str, numbers), recovery)

    def line(self) -> str:
        """All of it on one line."""
        pairs = ", ".join(f"{name} {cell}" for name, cell in zip(COLUMNS, self.cells, strict=True))
        notes = "; ".join(filter(None, (self.recovered_by, *self.remarks)))
        return f"{self.scenario}: {pairs}" + (f" ({notes})" if notes else "")


def table(verdicts: list[Verdict]) -> list[str]:
    """All scenarios below each other."""
    wide = max(len(verdict.scenario) for verdict in verdicts)
    lines = [f"{'scenario':{wide}}  " + "  ".join(COLUMNS)]
    for verdict in verdicts:
        cells = zip(COLUMNS, verdict.cells, strict=True)
        row = "  ".join(f"{cell:>{len(name)}}" for name, cell in cells)
        lines.append(f"{verdict.scenario:{wide}}  {row}")
    return lines


@dataclass(slots=True)
class Ledger:
    """Counts what became of the tasks submitted since it was opened."""

    directory: object
    _fenced_before: int = field(default_factory=lambda: selectors.counters().get("fenced", 0))

    def fenced(self) -> int:
        """Results refused since then."""
        return selectors.counters().get("fenced", 0) - self._fenced_before

    def judge(self, scenario, tasks, *, dead=(), recovery=None, recovered_by="", remarks=()):
        """The verdict on `tasks`, of which those in `dead` must have ended dead."""
        effects = effects_of(tasks)
        ended = dict(Task.objects.filter(id__in=tasks).values_list("id", "status"))
        wanted = dict.fromkeys(tasks, Status.SUCCEEDED) | dict.fromkeys(dead, Status.DEAD)
        ok = [
            task
            for task, status in wanted.items()
            if ended.get(task) == status and (effects[task] > 0) == (status == Status.SUCCEEDED)
        ]
        charged = Attempt.objects.filter(task_id__in=tasks, charged=True)
        return Verdict(
            scenario,
            len(tasks),
            len(ok),
            sum(effects[task] > 1 for task in tasks),
            self.re_executed(tasks),
            self.fenced(),
            charged.exclude(outcome__in=[Outcome.SUCCEEDED, Outcome.RUNNING]).count(),
            recovery,
            recovered_by,
            tuple(remarks),
        )

    def re_executed(self, tasks) -> int:
        """Starts beyond one per task."""
        wanted = {task.hex for task in tasks}
        starts = Counter(e.task_id for e in executions(self.directory) if e.task_id in wanted)
        return sum(starts.values()) - len(starts)


def effects_of(tasks) -> Counter:
    """Recorded effects by task."""
    found = Counter()
    rows = Task.objects.filter(id__in=tasks).values_list("id", "definition__handler")
    committing = {task for task, handler in rows if handler == COMMITTING}
    with connection.cursor() as cursor:
        cursor.execute("SELECT task_id FROM bench_effect")
        by_hex = Counter(row[0] for row in cursor.fetchall())
    for task in committing:
        found[task] = by_hex[task.hex]
    succeeded = Attempt.objects.filter(task_id__in=tasks, outcome=Outcome.SUCCEEDED)
    for task in succeeded.values_list("task_id", flat=True):
        if task not in committing:
            found[task] += 1
    return found

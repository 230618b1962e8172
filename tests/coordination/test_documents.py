"""docs/state-machines.md says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from coordination.models import TERMINAL, TRANSITIONS, Outcome, Status

PAGE = Path(__file__).resolve().parents[2] / "docs" / "state-machines.md"
ARROW = re.compile(r"^\s*(\S+) --> (\S+?)(?::.*)?$", re.MULTILINE)


def arrows(heading):
    """The moves of the diagram below a heading."""
    below = PAGE.read_text().split(f"## {heading}\n", 1)[1]
    return ARROW.findall(below.split("```mermaid\n", 1)[1].split("```", 1)[0])


def test_the_diagram_of_a_task_is_its_transitions():
    moves = [(start, end) for start, end in arrows("Task") if "[*]" not in (start, end)]

    assert len(moves) == len(set(moves))
    assert set(moves) == {
        (start.value, end.value) for start, ends in TRANSITIONS.items() for end in ends
    }


def test_every_status_has_its_moves_and_what_ended_well_has_none():
    assert set(TRANSITIONS) == set(Status)
    assert TRANSITIONS[Status.SUCCEEDED] == frozenset()
    back = {Status.READY, Status.BLOCKED}
    assert all(TRANSITIONS[status] == back for status in TERMINAL - {Status.SUCCEEDED})


def test_the_diagram_of_an_attempt_has_every_outcome():
    moves = arrows("Attempt")
    ends = {outcome.value for outcome in Outcome} - {"running"}

    assert {end for start, end in moves if start == "[*]"} == ends | {"running"}
    assert {end for start, end in moves if start == "running"} == ends

"""docs/configuration.md names every variable that the code reads, and no other."""

from __future__ import annotations

import re

import pytest

from tests.architecture.sources import ROOT, parse
from tests.environment import read_in, variables, with_file_twin

ROW = re.compile(r"^\| `([A-Z][A-Z0-9_]+)` \|.*\|(.*)\|$", re.MULTILINE)


def documented() -> dict[str, str]:
    """Variable to meaning, from the tables."""
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    return dict(ROW.findall(page))


def test_every_variable_is_documented_and_every_documented_one_is_read():
    assert set(documented()) == variables()


def test_those_that_may_come_from_a_file_are_marked():
    marked = {name for name, meaning in documented().items() if meaning.startswith(" **file**")}

    assert marked == with_file_twin()


@pytest.mark.parametrize(
    "text",
    [
        'env.text("X")',
        'env.integer("X", 3)',
        'os.environ.get("X")',
        'os.environ["X"]',
        'os.environ.setdefault("X", "1")',
        '"X" in os.environ',
    ],
)
def test_a_reading_is_found_however_it_is_written(text):
    assert read_in(parse(text)) == {"X"}


def test_a_variable_that_is_handed_on_is_not_taken_for_one_that_is_read():
    assert read_in(parse('{"X": 1, **os.environ}; names.get("X"); f("X")')) == set()

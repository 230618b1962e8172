"""The pins are exact, complete and of no particular machine."""

from __future__ import annotations

import re

import pytest

from tests.architecture.sources import ROOT

NAMES = ("requirements", "requirements-dev")


def lines(name: str) -> list[str]:
    """The lines of a requirements file without comments and blanks."""
    raw = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line for text in raw if (line := text.split("#")[0].strip())]


def project(requirement: str) -> str:
    """A requirement's name in its normal form."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[=<>~;! ]", requirement)[0]).lower()


def pins(name: str) -> dict[str, str]:
    return {project(line): line for line in lines(f"{name}.txt")}


@pytest.mark.parametrize("name", NAMES)
def test_every_line_is_an_exact_pin(name):
    loose = [
        line for line in lines(f"{name}.txt") if not re.match(r"[\w.-]+==[\w.]+( ;.*)?$", line)
    ]

    assert loose == []


@pytest.mark.parametrize("name", NAMES)
def test_everything_asked_for_is_pinned(name):
    asked = {project(line) for line in lines(f"{name}.in") if not line.startswith("-")}

    assert asked - pins(name).keys() == set()


def test_what_both_files_pin_they_pin_alike():
    runtime, development = (pins(name) for name in NAMES)

    assert {
        shared
        for shared in runtime.keys() & development.keys()
        if runtime[shared] != development[shared]
    } == set()

"""A module is named for what is in it, and a package says what it promises."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.sources import parse, written

# Drawers into which anything fits, and adjectives that praise instead of telling.
FORBIDDEN = frozenset(
    {
        *("base", "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"),
        *("advanced", "enhanced", "smart"),
    }
)
# Django and pytest find these directories by name; there is nothing to say about them.
UNSPOKEN = frozenset({"commands", "management", "migrations"})
# Django looks for a database backend in a module of this name.
DICTATED = frozenset({Path("ansf_platform/sqlite/base.py")})


def vague_words(path: Path) -> set[str]:
    words = {word for part in path.with_suffix("").parts for word in part.lower().split("_")}
    return words & FORBIDDEN


def lacks_docstring(source) -> bool:
    speaks = source.path.name == "__init__.py" and source.path.parent.name not in UNSPOKEN
    return speaks and not ast.get_docstring(source.tree)


def test_no_module_has_a_name_into_which_anything_fits():
    vague = [source.path for source in written() if vague_words(source.path)]
    assert [str(path) for path in vague if path not in DICTATED] == []


def test_every_package_says_what_it_promises():
    assert [str(source.path) for source in written() if lacks_docstring(source)] == []


@pytest.mark.parametrize(
    "path", ["workers/utils.py", "gateway/base.py", "common/api.py", "workers/task_helpers.py"]
)
def test_a_vague_name_is_found_anywhere_in_the_path(path):
    assert vague_words(Path(path))


@pytest.mark.parametrize("path", ["ansf_platform/database.py", "workers/management/commands/up.py"])
def test_a_name_is_judged_by_whole_words(path):
    assert not vague_words(Path(path))


def test_a_silent_package_is_found_and_an_empty_commands_package_is_not():
    assert lacks_docstring(parse("", "workers/__init__.py"))
    assert not lacks_docstring(parse('"""Runs."""', "workers/__init__.py"))
    assert not lacks_docstring(parse("", "workers/management/__init__.py"))

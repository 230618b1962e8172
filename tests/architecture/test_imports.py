"""Imports stand at the top, where import-linter and a reader find them, and none unpickles."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.architecture.sources import parse, written

if TYPE_CHECKING:
    from tests.architecture.sources import Source

IMPORT = ast.Import | ast.ImportFrom
# Reading any of these formats runs whatever the writer of the bytes wished.
RUNS_CODE = frozenset({"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"})


def hidden_imports(source: Source) -> list[str]:
    """Imports inside functions: they hide a cycle, and fail when called instead of at start."""
    return sorted(
        {
            source.at(node)
            for function in ast.walk(source.tree)
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
            for node in ast.walk(function)
            if isinstance(node, IMPORT)
        }
    )


def imported(node: ast.Import | ast.ImportFrom) -> set[str]:
    """The top packages that an import statement names."""
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").split(".")[0]}
    return {alias.name.split(".")[0] for alias in node.names}


def unsafe_imports(source: Source) -> list[str]:
    return [
        source.at(node)
        for node in ast.walk(source.tree)
        if isinstance(node, IMPORT) and imported(node) & RUNS_CODE
    ]


def test_no_function_imports():
    assert [offence for source in written() for offence in hidden_imports(source)] == []


def test_nothing_imports_a_format_that_runs_code():
    assert [offence for source in written() for offence in unsafe_imports(source)] == []


def test_an_import_inside_a_function_is_found():
    text = "import os\nif os:\n  import sys\ndef f():\n  if os:\n    import json\n"

    assert hidden_imports(parse(text)) == ["package/module.py:6"]


@pytest.mark.parametrize(
    "text", ["import pickle", "import os, dill", "from pickle import loads", "import shelve as s"]
)
def test_an_unsafe_format_is_found_however_it_is_imported(text):
    assert unsafe_imports(parse(text)) == ["package/module.py:1"]


def test_a_name_that_only_looks_like_one_is_left_alone():
    assert unsafe_imports(parse("import pickles\nfrom .pickle_free import load")) == []

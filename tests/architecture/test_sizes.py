"""Files and functions stay small enough to be read in one go."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.architecture.sources import parse, written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.architecture.sources import Source

FILE_LINES = 300
LONG_FILE_LINES = 400  # rows, kernels and tests are lists of small things of one kind
FUNCTION_LINES = 60
KERNEL_LINES = 120  # a compiled loop is not split: the call would cost more than it explains
POSITIONAL = 5

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(source: Source) -> Iterator[Function]:
    return (node for node in ast.walk(source.tree) if isinstance(node, Function))


def file_limit(source: Source) -> int:
    is_long = "models" in {source.path.stem, source.path.parent.name}
    return LONG_FILE_LINES if is_long or source.package in {"kernels", "tests"} else FILE_LINES


def long_files(source: Source) -> list[str]:
    lines, limit = len(source.text.splitlines()), file_limit(source)
    return [f"{source.path} has {lines} lines, at most {limit}"] if lines > limit else []


def long_functions(source: Source) -> list[str]:
    limit = KERNEL_LINES if source.package == "kernels" else FUNCTION_LINES
    return [
        f"{source.at(node)} {node.name} has {length} lines, at most {limit}"
        for node in functions(source)
        if (length := (node.end_lineno or 0) - node.lineno + 1) > limit
    ]


def crowded_signatures(source: Source) -> list[str]:
    """Functions called with more positional arguments than a reader can tell apart."""
    if source.package in {"kernels", "tests"}:  # papers' formulas; fixtures
        return []
    return [
        f"{source.at(node)} {node.name} takes {count} positional arguments, at most {POSITIONAL}"
        for node in functions(source)
        if (count := positional(node)) > POSITIONAL
    ]


def positional(node: Function) -> int:
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def test_no_file_is_too_long_to_read_in_one_go():
    assert [offence for source in written() for offence in long_files(source)] == []


def test_no_function_is_longer_than_a_screen():
    assert [offence for source in written() for offence in long_functions(source)] == []


def test_no_function_takes_more_than_five_positional_arguments():
    assert [offence for source in written() for offence in crowded_signatures(source)] == []


def test_a_file_over_its_limit_is_reported_by_name():
    text = "x = 1\n" * (FILE_LINES + 1)

    assert long_files(parse(text, "workers/boot.py")) == [
        "workers/boot.py has 301 lines, at most 300"
    ]
    assert long_files(parse(text, "workers/models.py")) == []
    assert long_files(parse(text, "coordination/models/task.py")) == []
    assert long_files(parse(text * 2, "tests/workers/test_boot.py")) != []


def test_a_function_over_its_limit_is_reported_by_name():
    text = "def sum():\n" + "    x = 1\n" * FUNCTION_LINES

    assert long_functions(parse(text, "workers/boot.py")) == [
        "workers/boot.py:1 sum has 61 lines, at most 60"
    ]
    assert long_functions(parse(text, "kernels/dtw.py")) == []


def test_only_positional_arguments_are_counted_and_self_is_not():
    assert crowded_signatures(parse("def f(a, b, c, d, e, f): ..."))
    assert not crowded_signatures(parse("def f(a, b, c, d, e, *, f, g): ..."))
    assert not crowded_signatures(parse("class C:\n  def f(self, a, b, c, d, e): ..."))

"""Which environment variables the code reads, found in its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

from tests.architecture.sources import Source, written

READERS = frozenset({"text", "boolean", "integer", "number", "names"})
# Read by name from os.environ: by libraries on our behalf, or for how output looks.
LOOKED_UP = frozenset({"get", "setdefault"})
FROM_ANOTHER_PROCESS = frozenset({"benchmarks", "tests"})  # a peer's and a test's own switches


@cache
def variables() -> set[str]:
    """Every variable that a package of the project reads, without the _FILE twin of secrets."""
    return {
        name
        for source in written()
        if source.package not in FROM_ANOTHER_PROCESS
        for name in read_in(source)
    }


@cache
def with_file_twin() -> set[str]:
    """Those that may also be given as the path of a file, in NAME_FILE."""
    return {name for source in written() for call, name in calls(source) if call == "env.text"}


def read_in(source: Source) -> set[str]:
    return {name for _, name in calls(source)} | set(subscripts(source))


def calls(source: Source) -> Iterator[tuple[str, str]]:
    """`env.text("X")` and `os.environ.get("X")`, with the name of what is called."""
    for node in ast.walk(source.tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        if node.func.attr not in READERS | LOOKED_UP:
            continue  # most calls: not worth writing out
        called = ast.unparse(node.func)
        name = node.args[0]
        known = called in {f"env.{reader}" for reader in READERS} | {
            f"os.environ.{look}" for look in LOOKED_UP
        }
        if known and isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield called, name.value


def subscripts(source: Source) -> Iterator[str]:
    """`os.environ["X"]` and `"X" in os.environ`."""
    for node in ast.walk(source.tree):
        name: ast.expr | None = None
        if isinstance(node, ast.Subscript) and _is_environ(node.value):
            name = node.slice
        elif isinstance(node, ast.Compare) and _is_environ(node.comparators[0]):
            name = node.left
        if isinstance(name, ast.Constant):
            yield name.value


def _is_environ(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node) == "os.environ"

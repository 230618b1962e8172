"""YAML from strangers: plain values only, bounded in bytes, depth and expanded size.

``yaml.safe_load`` refuses Python objects but not much else: a few hundred bytes of nested aliases
expand to gigabytes, and of two equal keys the last silently wins.
"""

from __future__ import annotations

from typing import Any

import yaml

from coordination.errors import Invalid, ItemError

MAX_BYTES = 256 * 1024  # a thousand swarms; parsing takes about a second
MAX_VALUES = 50_000  # after aliases are expanded
MAX_DEPTH = 50


class _Loader(yaml.SafeLoader):
    """Safe, and dates stay text: a payload is JSON, which has none."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(text: str) -> Any:
    """The plain value that `text` describes. Raises :class:`Invalid`."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise refusal("", f"is larger than {MAX_BYTES:,} bytes: split it")
    try:
        return _construct(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        why = error.problem if error.context is None else f"{error.context}: {error.problem}"
        raise refusal("", f"{where}{why}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise refusal("", f"is not YAML: {error}") from error
    except RecursionError as error:
        raise refusal("", f"is nested deeper than {MAX_DEPTH} levels") from error


def _construct(text: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node, {}, [])
        return loader.construct_document(node)
    finally:
        loader.dispose()


def refusal(pointer: str, message: str) -> Invalid:
    """The error of one place."""
    return Invalid([ItemError(None, pointer, message)])


def _measure(node: yaml.Node, sizes: dict[int, int], path: list[int]) -> int:
    """How many values `node` stands for once its aliases are expanded, each counted once.

    Refuses what expands too far, contains itself, nests too deep or names a key twice.
    """
    if id(node) in sizes:
        return sizes[id(node)]
    if id(node) in path:
        raise refusal("", f"{_place(node)} an alias contains itself")
    if len(path) > MAX_DEPTH:
        raise refusal("", f"{_place(node)} is nested deeper than {MAX_DEPTH} levels")
    path.append(id(node))
    size = 1 + sum(_measure(child, sizes, path) for child in _children(node))
    path.pop()
    if size > MAX_VALUES:
        raise refusal("", f"{_place(node)} expands to more than {MAX_VALUES:,} values")
    sizes[id(node)] = size
    return size


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if isinstance(node, yaml.MappingNode):
        _refuse_repeated_keys(node)
        return [part for pair in node.value for part in pair]
    return []


def _refuse_repeated_keys(node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise refusal("", f"{_place(key)} a key must be text")
        if key.value in seen:
            raise refusal("", f"{_place(key)} the key {key.value!r} is given twice")
        seen.add(key.value)


def _place(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}:"

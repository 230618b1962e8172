"""The files of the project, as the rules in this directory read them."""

from __future__ import annotations

import ast
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file: its path from the root, its text and its syntax tree."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """The top directory, or an empty string for a file at the root."""
        return self.path.parts[0] if len(self.path.parts) > 1 else ""

    def at(self, node: ast.stmt | ast.expr) -> str:
        return f"{self.path}:{node.lineno}"


def parse(text: str, path: str = "package/module.py") -> Source:
    return Source(Path(path), text, ast.parse(text))


@cache
def tracked() -> tuple[Path, ...]:
    """Every file in the repository; outside of one (an unpacked archive), every visible file."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    names = listing.stdout.split("\0") if listing.stdout else visible(ROOT)
    return tuple(Path(name) for name in sorted(names) if name and (ROOT / name).is_file())


def visible(directory: Path) -> list[str]:
    found = []
    for path in directory.iterdir():
        if path.name.startswith(".") or path.name == "__pycache__":
            continue
        if not path.is_dir():
            found.append(str(path.relative_to(ROOT)))
        elif not (path / "pyvenv.cfg").exists():
            found += visible(path)
    return found


@cache
def texts() -> tuple[tuple[Path, str], ...]:
    """Every tracked file that is text, with its content."""
    found = []
    for path in tracked():
        content = (ROOT / path).read_bytes()
        if b"\0" not in content:
            found.append((path, content.decode("utf-8")))
    return tuple(found)


@cache
def written() -> tuple[Source, ...]:
    """Every Python file somebody wrote: migrations are generated."""
    return tuple(
        parse(text, str(path))
        for path, text in texts()
        if path.suffix == ".py" and "migrations" not in path.parts
    )

"""``make oracle``: every agreement with a peer as a table; ``--write`` puts it into the docs.

Exit 1 when an agreement does not hold. A peer that is not installed is said and left out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.oracle import attractor, elastic, logic
from tests.oracle.agreement import compare, present

AGREEMENTS = (*attractor.AGREEMENTS, *elastic.AGREEMENTS, *logic.AGREEMENTS)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "kernels.md"
BEGIN, END = "<!-- agreements -->", "<!-- end of agreements -->"
HEAD = (
    "| kernel | peer | compared on | ours | theirs | tolerance | why not closer |",
    "|---|---|---|---|---|---|---|",
)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make oracle", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"update the table in {PAGE.name}")
    write = parser.parse_args(arguments).write
    missing = sorted({a.peer for a in AGREEMENTS if not present(a)})
    compared = [compare(a) for a in AGREEMENTS if present(a)]
    table = [*HEAD, *map(_row, compared)]
    sys.stdout.write("\n".join(table) + "\n")
    for peer in missing:
        sys.stderr.write(f"{peer} is not installed: its agreements were left out\n")
    if write and not missing:
        _write("\n".join(table))
    failed = [c.agreement.kernel for c in compared if not c.holds]
    for kernel in failed:
        sys.stderr.write(f"{kernel} does not agree\n")
    return 1 if failed else 0


def _row(compared):
    a = compared.agreement
    tolerance = f"{a.absolute:g}" if a.absolute else f"{a.relative:.2g} relative"
    ours, theirs = f"{compared.ours:.6g}", f"{compared.theirs:.6g}"
    return f"| {a.kernel} | {a.peer} | {a.series} | {ours} | {theirs} | {tolerance} | {a.why} |"


def _write(table):
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

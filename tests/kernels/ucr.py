"""The development sets of the UCR archive (Dau et al. 2019), which are not part of this project.

They are looked for where ANSF_UCR_DATA says, or beside the project; without them tests skip.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

SETS = ("ArrowHead", "Coffee", "GunPoint", "ItalyPowerDemand")
ROOT = Path(__file__).resolve().parents[2]


def folder():
    named = os.environ.get("ANSF_UCR_DATA")
    return Path(named) if named else ROOT.parent / "shared" / "data" / "ucr"


def read(name, part):
    """Series, one per row, and their classes."""
    for suffix in (".ts", ".txt"):
        path = folder() / f"{name}_{part}{suffix}"
        if path.exists():
            return parsed(path.read_text(), suffix)
    pytest.skip(f"{name} of the UCR archive is not in {folder()}; set ANSF_UCR_DATA")


def parsed(text, suffix):
    lines = [line for line in text.splitlines() if line.strip() and line[0] not in "#@"]
    if suffix == ".ts":
        rows, classes = zip(*(line.rsplit(":", 1) for line in lines), strict=True)
    else:
        fields = [line.replace(",", " ").split(maxsplit=1) for line in lines]
        classes, rows = zip(*fields, strict=True)
    return np.array([row.replace(",", " ").split() for row in rows], float), np.array(classes)

"""The rules read the real tree: on an empty one every one of them would hold."""

from __future__ import annotations

from pathlib import Path

from tests.architecture.sources import ROOT, tracked, visible, written

THIS = Path(__file__).resolve().relative_to(ROOT)


def test_the_rules_read_this_very_file():
    assert THIS in tracked()
    assert THIS in {source.path for source in written()}


def test_outside_a_repository_the_same_files_are_found():
    assert str(THIS) in visible(ROOT)
    assert not [name for name in visible(ROOT) if "site-packages" in name]

"""Indexes of the rows: immutable parts, followed change by change, never the truth themselves.

::

    rows ──changes──▶ tail (memory) ──4 096 rows──▶ segment (files, mapped) ──eight──▶ one segment
                                                        └── manifest.json names those in force

A *segment* never changes after it was renamed into place; whatever is newer or removed is known
from the parts after it. A *snapshot* is a tuple of parts with a mask each: whoever searches holds
one and asks nobody. All of it may be deleted at any time and is made anew from the rows.
"""

from __future__ import annotations

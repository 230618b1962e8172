"""Template tags of the platform's own pages."""

from __future__ import annotations

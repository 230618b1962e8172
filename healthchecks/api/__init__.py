"""Health checks over REST: declare, run now, read readings and flips.

A token sees its tenant's checks and the platform's; the platform's are written by superusers.
"""

from __future__ import annotations

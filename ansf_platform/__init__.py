"""The Django project that carries ANSF: settings, accounts, the Celery application, services.

Everything here is infrastructure that the packages above it need and none of them owns.
It names those packages only by strings (``INSTALLED_APPS``, URL includes, task names), so
the arrows of the import graph all point down.
"""

from __future__ import annotations

from ansf_platform.celery import app as celery_app

__all__ = ["celery_app"]
__version__ = "0.1.0"

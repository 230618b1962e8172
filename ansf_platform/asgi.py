"""The ASGI application, served by uvicorn."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from ansf_platform.body_limit import BodyLimit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ansf_platform.settings")
application = BodyLimit(get_asgi_application())

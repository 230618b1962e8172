"""The ASGI application, served by uvicorn."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from ansf_platform.body_limit import BodyLimit
from ansf_platform.web_threads import WebThreads

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ansf_platform.settings")
application = BodyLimit(WebThreads(get_asgi_application()))

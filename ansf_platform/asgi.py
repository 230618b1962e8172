"""The ASGI application, served by uvicorn."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

from django.core.asgi import get_asgi_application
from django.utils.module_loading import import_string

from ansf_platform.body_limit import BodyLimit
from ansf_platform.web_threads import WebThreads

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ansf_platform.settings")
GATEWAY = "gateway.openai_api.application.GatewayApi"


def _with_gateway(otherwise: Any) -> Any:
    # The platform knows the packages above it by name only, and runs without them.
    return import_string(GATEWAY)(otherwise) if find_spec("gateway") else otherwise


application = _with_gateway(BodyLimit(WebThreads(get_asgi_application())))

"""The routing model in use by this process: the one that ANSF_ROUTE_MODEL names, or the shipped."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from gateway.routing.sufficiency import BadModel, Sufficiency, read_model, shipped

logger = logging.getLogger(__name__)


def current() -> Sufficiency:
    """The model; a file that cannot be read is told of once, and the shipped one is used."""
    return _read(str(settings.ANSF.get("ROUTE_MODEL") or ""))


@lru_cache(maxsize=4)
def _read(path: str) -> Sufficiency:
    if not path:
        return shipped()
    try:
        return read_model(Path(path))
    except BadModel as error:
        logger.error("the shipped routing model is used: %s", error)  # noqa: TRY400 - it says all
        return shipped()

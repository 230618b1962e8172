"""Requests generated from the OpenAPI document, right and wrong: no 5xx, answers as documented."""

from __future__ import annotations

from functools import cache

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from ansf_platform.openapi import document
from coordination.api import endpoint

# Nine parts of ten are making requests up, and tracing them for coverage doubles that.
pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.no_cover]

EXAMPLES = 10  # per operation and mode
load_all_checks()
# A right request may still be refused for the state of things: an unknown name, a stale ETag.
UNFIT = ("positive_data_acceptance",)
EXCLUDED = [CHECKS.get_one(name) for name in UNFIT]
OPERATIONS = [
    (path, method)
    for path, methods in document()["paths"].items()
    for method in methods
    if "/health-checks" not in path  # its probes go out to the network
    and "/gateway/cache" not in path  # answers 503 without Redis; tests/gateway asks it with one
]


@cache
def served():
    """The document as the application gives it; its strategies are made once for all tests."""
    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", WSGIHandler())


@pytest.fixture
def schema(api, definition, submitted, monkeypatch):
    """The document, with a real token and rows to hit."""
    submitted(lane="a", key="k")
    monkeypatch.setattr(endpoint, "MAX_WAIT", 0)  # seconds; nothing would end them here
    # The end of a request would close the connection that holds this test's transaction. Last,
    # because Django's test client connects the two again after each of its requests.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    loaded = served()
    loaded.config.update(headers=api.headers)
    yield loaded
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_the_api_keeps_its_contract(schema, api, path, method, mode):
    operation = schema[path][method.upper()]
    cases = operation.as_strategy(generation_mode=mode)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def keeps(case):
        case.call_and_validate(headers=api.headers, excluded_checks=EXCLUDED)

    keeps()

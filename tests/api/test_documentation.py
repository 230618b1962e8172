"""The API about itself: valid OpenAPI 3.1, complete, and a page of it under the CSP."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver
from jsonschema import Draft202012Validator

from ansf_platform.accounts.scopes import SCOPES
from ansf_platform.openapi import document

RESOURCES = {
    "agents", "attempts", "audit", "dead-letters", "lanes", "queues", "runs", "schedules",
    "swarms", "task-definitions", "tasks", "tokens", "workers",
}  # fmt: skip


@pytest.fixture(scope="module")
def told():
    return document()


def operations(told):
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def leaves(patterns, prefix=""):
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            yield prefix + str(pattern.pattern), pattern
        else:
            yield from leaves(pattern.url_patterns, prefix + str(pattern.pattern))


def test_the_document_is_openapi_3_1_and_served_without_a_token(told):
    response = Client().get("/api/v1/openapi.json")

    assert response.json()["openapi"] == told["openapi"] == "3.1.0"
    assert response.json()["paths"].keys() == told["paths"].keys()


def test_every_address_of_the_api_is_documented(told):
    served = {
        "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)
        for route, _ in leaves(get_resolver().url_patterns)
        if route.startswith("api/v1/")
    }

    assert served - {"/api/v1/openapi.json", "/api/v1/docs"} == set(told["paths"])
    assert {path.split("/")[3] for path in told["paths"]} >= RESOURCES


def test_every_operation_has_a_name_a_tag_security_and_problem_answers(told):
    names = [operation["operationId"] for _, operation in operations(told)]

    assert len(names) == len(set(names))
    for name, operation in operations(told):
        assert operation["summary"], name
        assert operation["tags"], name
        assert operation["security"] == [{"token": []}, {"session": []}], name
        for status, answer in operation["responses"].items():
            kinds = list(answer.get("content", {}))
            usual = "text/csv" if name.endswith(".csv") else "application/json"
            expected = "application/problem+json" if status >= "400" else usual
            assert status == "204" or kinds == [expected], f"{name} {status}"


def test_every_scope_is_used_and_every_used_scope_exists(told):
    used = {
        scope
        for _, operation in operations(told)
        for scope in re.findall(r"Scope: `([^`]+)`", operation["description"])
    }

    assert used == set(SCOPES)


def test_every_schema_is_a_json_schema_and_every_reference_leads_somewhere(told):
    schemas = told["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)

    references = set(re.findall(r"'#/components/schemas/(\w+)'", str(told)))
    assert references <= set(schemas)


def test_the_page_shows_every_operation_and_needs_nothing_from_elsewhere(told):
    response = Client().get("/api/v1/docs")

    page = response.content.decode()
    for _, operation in operations(told):
        assert f'id="{operation["operationId"]}"' in page
    assert 'id="problem-422"' in page
    assert response["Content-Security-Policy"].startswith("default-src 'self'")
    assert "<script" not in page
    assert "style=" not in page
    assert "<style" not in page
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)


@pytest.mark.parametrize("path", ["docs", "openapi.json", "nowhere"])
def test_a_change_where_nothing_changes_is_refused_as_a_problem(problem, path):
    browser = Client(enforce_csrf_checks=True)

    problem(browser.post(f"/api/v1/{path}"), 404 if path == "nowhere" else 405)

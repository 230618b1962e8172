"""The page about models in a real browser: live, and readable at any width and in both themes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.test_dashboard import NARROW, THEMES, WIDE
from tests.e2e.test_limits import faults_of

pytestmark = [pytest.mark.browser, pytest.mark.valkey, pytest.mark.timeout(300)]

ASK = """
from ansf_platform.accounts.models import Tenant
from gateway.pipe import complete
from gateway.request import Message, Request
tenant = str(Tenant.objects.get(slug="default").pk)
for question in {questions}:
    complete(Request(tenant=tenant, model="extractive", messages=(Message("user", question),)))
"""
SETTING = """
from ansf_platform.accounts.models import Tenant
from gateway.models import Budget, LanguageModel, Provider
provider = Provider.objects.create(name="far", base_url="http://127.0.0.1:9/v1")
LanguageModel.objects.create(name="far-model", provider=provider, upstream="gpt-4o", quality=0.9)
Budget.objects.create(tenant=Tenant.objects.get(slug="default"), name="month", hard=10**9)
"""
HARBOUR = "Boats lie in the harbour. What lies in the harbour?"


@pytest.fixture(scope="session")
def called(site):
    """A system whose models were called, with hits."""
    site.shell(SETTING)
    site.shell(ASK.format(questions=[HARBOUR, HARBOUR, HARBOUR.upper(), "Gulls cry. Who cries?"]))
    return site


@pytest.fixture
def opened(page, called, complaints):
    """The page, reached from the first one."""
    page.goto(f"{called.url}/")
    page.get_by_role("link", name="Models", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Models")
    return page


def answered(page, level):
    """How many requests a level answered, as the legend tells."""
    line = page.locator("#hits .legend li", has_text=re.compile(rf"\b{level}\b"))
    return int(line.locator("b").inner_text().replace(",", ""))


def test_it_tells_levels_costs_providers_and_budgets(opened, complaints):
    assert answered(opened, "exact") >= 1
    assert answered(opened, "model") >= 2
    expect(opened.locator("#costs")).to_contain_text("extractive")
    expect(opened.locator("#breakers")).to_contain_text("far")
    expect(opened.locator("#breakers")).to_contain_text("closed")
    expect(opened.locator("#budgets")).to_contain_text("month")
    bar = opened.locator("#hits svg.stack")
    expect(bar).to_have_attribute("aria-label", re.compile(r"exact \d+.*model \d+"))
    assert complaints.console == []


def test_a_call_appears_without_a_reload(opened, called, complaints):
    opened.evaluate("window.notReloaded = true")
    before = answered(opened, "exact")

    called.shell(ASK.format(questions=[HARBOUR]))

    line = opened.locator("#hits .legend li", has_text=re.compile(r"\bexact\b"))
    expect(line.locator("b")).to_have_text(str(before + 1))
    assert opened.evaluate("window.notReloaded")
    assert complaints.console == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_no_serious_fault_of_accessibility_and_no_sideways_scroll(opened, complaints, theme, size):
    opened.emulate_media(color_scheme=theme)
    opened.set_viewport_size(size)
    for name in ("hits", "scores", "breakers", "costs", "budgets"):
        expect(opened.locator(f"#{name}")).to_be_visible()

    assert faults_of(opened) == []
    assert complaints.console == []

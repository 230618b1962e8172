"""The pages of limits in a real browser: live, answering, readable at any width and theme."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.e2e.test_dashboard import NARROW, SERIOUS, THEMES, WIDE

pytestmark = [pytest.mark.browser, pytest.mark.valkey, pytest.mark.timeout(300)]

SPEND = """
from ratelimit import asking, counting, policies
from ratelimit.subject import Subject
from ansf_platform.accounts.models import Tenant
tenant = str(Tenant.objects.get(slug="default").pk)
buckets = policies.buckets_for(["models"], Subject(tenant=tenant, model="small"))
with asking.patient(5.0) as limiter:
    for cost in {costs}:
        counting.count(buckets, limiter.acquire(buckets, cost), cost)
counting.TALLY.flush()
"""


@pytest.fixture(scope="session")
def limited(site):
    """A policy that has allowed and denied."""
    site.stack.manage(
        "limit", "set", "models", "--limit=36", "--period=3600", "--burst=1000",
        "--unit=tokens", "--scope=model", "--tenant=default",
    )  # fmt: skip
    site.shell(SPEND.format(costs=[400, 700]))
    return site


@pytest.fixture
def opened(page, limited, complaints):
    """The policy's page, reached from the first page, with its feed open."""
    page.goto(f"{limited.url}/")
    page.get_by_role("link", name="Limits", exact=True).click()
    page.get_by_role("link", name="models", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("models")
    return page


def test_what_is_spent_appears_without_a_reload(opened, limited, complaints):
    keys = opened.locator("#keys")
    expect(keys).to_contain_text("of 1,000 left")
    opened.evaluate("window.notReloaded = true")
    held = int(keys.inner_text().split(" of 1,000")[0].split()[-1])

    limited.shell(SPEND.format(costs=[5]))

    expect(keys).to_contain_text(f"{held - 5} of 1,000 left")
    assert opened.evaluate("window.notReloaded")
    assert complaints.console == []


def test_the_form_says_what_would_happen(opened, complaints):
    opened.get_by_label("model").fill("never-seen")
    opened.get_by_label("requests at once").fill("2000")
    opened.get_by_role("button", name="Ask").click()

    expect(opened.locator("#answer")).to_contain_text("1,000 of 2000 would pass now")
    assert complaints.console == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_no_serious_fault_of_accessibility_and_no_sideways_scroll(
    opened, limited, complaints, theme, size
):
    opened.emulate_media(color_scheme=theme)
    opened.set_viewport_size(size)
    expect(opened.locator("#keys")).to_contain_text("model:small")
    assert faults_of(opened) == []

    opened.goto(f"{limited.url}/limits/")
    expect(opened.locator("#limits")).to_contain_text("models")
    assert faults_of(opened) == []
    assert complaints.console == []


def faults_of(page):
    found = Axe().run(page)
    assert found.response["passes"]
    faults = [
        (violation["id"], [node["html"] for node in violation["nodes"]])
        for violation in found.response["violations"]
        if violation["impact"] in SERIOUS
    ]
    wide, seen = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    return faults + ([] if wide <= seen else [("sideways", wide)])

"""Callers of the API, and rows to look at."""

from __future__ import annotations

import pytest

from ansf_platform.accounts import tokens
from ansf_platform.accounts.scopes import SCOPES
from gateway import catalogue, ledger, spending
from gateway.budgets import Payer
from gateway.ledger import Call
from gateway.models import GatewayPolicy, LanguageModel, Provider
from gateway.pricing import Prices
from gateway.savings import Usage, amounts
from tests.api.conftest import Api


@pytest.fixture(autouse=True)
def fresh_view():
    """No test sees the rows of another."""
    catalogue.WATCHER.reset()
    spending.forget()
    yield
    catalogue.WATCHER.reset()
    spending.forget()


@pytest.fixture
def caller():
    """Make a caller of the API with a token of a tenant."""

    def make(tenant, *scopes):
        _, secret = tokens.issue(tenant, "test", scopes or SCOPES)
        return Api(secret)

    return make


@pytest.fixture
def api(tenant, caller):
    """May do everything in the default tenant."""
    return caller(tenant)


@pytest.fixture
def stranger(other_tenant, caller):
    """May do everything in another tenant."""
    return caller(other_tenant)


@pytest.fixture
def boss(db, django_user_model):
    """A superuser's API, by session."""
    user = django_user_model.objects.create(username="boss", is_superuser=True, is_staff=True)
    made = Api("")
    made.client.force_login(user)
    return made


@pytest.fixture
def models(db):
    """A small and a large model of one provider."""
    provider = Provider.objects.create(name="openai", base_url="https://api.example/v1")
    small, large = Prices(150_000_000, 600_000_000), Prices(2_500_000_000, 10_000_000_000)
    made = {
        name: LanguageModel.objects.create(
            name=name, upstream=f"gpt-{name}", provider=provider, quality=quality,
            input_price=prices.input, output_price=prices.output, context_window=128_000,
            max_output=16_384,
        )
        for name, prices, quality in (("small", small, 0.75), ("large", large, 0.95))
    }  # fmt: skip
    GatewayPolicy.objects.filter(name="default").update(simple_budget=50_000_000)
    GatewayPolicy.objects.filter(name="default").update(complex_budget=50_000_000)
    catalogue.forget()
    return made


@pytest.fixture
def pay():
    """Write a call of the small model: 1 000 tokens in, 100 out."""

    def write(tenant, request_id, *, hit=False, model="small", **names):
        usage, own = Usage(1_000, 100), Prices(150_000_000, 600_000_000)
        return ledger.record(
            Call(
                request_id=request_id,
                payer=Payer(tenant_id=tenant.pk, model=model, **names),
                usage=usage,
                amounts=amounts(usage, own, Prices(2_500_000_000, 10_000_000_000), hit=hit),
                hit_level="exact" if hit else "none",
            )
        )

    return write


COST = 210_000

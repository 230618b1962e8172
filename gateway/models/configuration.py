"""Rows that people write: providers, their models, and policies of how to call them.

Money is in whole nano-dollars (1e-9 USD). A price is nano-dollars for a million tokens, which is
what price sheets print in dollars times 1e9: a nano-dollar for one token would be too coarse
(0.0375 USD for a million tokens is 37.5 nano-dollars for one).
"""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from ansf_platform.accounts.models import Tenant
from gateway.pricing import Prices
from gateway.strictness import DEFAULT, Strictness

SHARE = [MinValueValidator(0.0), MaxValueValidator(1.0)]
MILLI_DOLLAR = 1_000_000
"""Nano-dollars."""


class TaskClass(models.TextChoices):
    """How much a call matters; each class has its own budget for one call."""

    SIMPLE = "simple"
    COMPLEX = "complex"
    CRITICAL = "critical"


class Provider(models.Model):
    """Who answers: an OpenAI-compatible server, or the local extractive one.

    The secret itself is never stored: only the name of the variable that holds it.
    """

    class Kind(models.TextChoices):
        OPENAI = "openai", "OpenAI-compatible HTTP"
        EXTRACTIVE = "extractive", "local, extractive, simulated"

    name = models.SlugField(max_length=50, unique=True)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.OPENAI)
    base_url = models.CharField(
        max_length=300, blank=True, help_text="Up to and with /v1; empty for the local one."
    )
    key_env = models.CharField(
        max_length=100, blank=True, help_text="Environment variable that holds the key."
    )
    timeout_seconds = models.FloatField(default=60.0, help_text="Of one attempt.")
    retries = models.PositiveSmallIntegerField(default=2, help_text="Attempts after the first.")
    slots = models.PositiveSmallIntegerField(default=16, help_text="Calls at the same time.")
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    revision = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(timeout_seconds__gt=0, slots__gte=1), name="provider_can_be_called"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class LanguageModel(models.Model):
    """A model that a provider serves, with its prices; without a tenant it is everybody's."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, null=True, blank=True, related_name="+",
        help_text="Empty: for all tenants.",
    )  # fmt: skip
    name = models.CharField(max_length=100, help_text="What callers ask for.")
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="models")
    upstream = models.CharField(max_length=200, help_text="What the provider calls it.")
    input_price = models.PositiveBigIntegerField(
        default=0, help_text="Nano-dollars for a million prompt tokens."
    )
    output_price = models.PositiveBigIntegerField(
        default=0, help_text="Nano-dollars for a million answer tokens."
    )
    cached_price = models.PositiveBigIntegerField(
        null=True, blank=True,
        help_text="Nano-dollars for a million prompt tokens the provider has cached. "
        "Empty: as prompt tokens.",
    )  # fmt: skip
    context_window = models.PositiveIntegerField(
        default=8192, help_text="Tokens of prompt and answer together."
    )
    max_output = models.PositiveIntegerField(default=4096, help_text="Tokens of an answer.")
    quality = models.FloatField(
        default=0.5, validators=SHARE, help_text="Share of good answers, 0 to 1, as you judge it."
    )
    tiers = models.JSONField(
        default=list, blank=True, help_text="Names a request may ask a tier by; empty: any."
    )
    supports_tools = models.BooleanField(default=False)
    supports_json = models.BooleanField(default=False)
    supports_streaming = models.BooleanField(default=True)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    revision = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "name"], name="one_model_per_name"),
            models.UniqueConstraint(
                fields=["name"], condition=Q(tenant=None), name="one_platform_model_per_name"
            ),
            models.CheckConstraint(
                condition=Q(quality__gte=0, quality__lte=1, context_window__gte=1),
                name="model_has_quality_and_room",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def prices(self) -> Prices:
        """What its tokens cost."""
        return Prices(self.input_price, self.output_price, self.cached_price)


class GatewayPolicy(models.Model):
    """How calls are cached, routed and compressed; without a tenant it is the platform's.

    A request names one; `default` holds for those that name none.
    """

    class Visibility(models.TextChoices):
        TENANT = "tenant", "everybody of the tenant"
        USER = "user", "who asked"
        GLOBAL = "global", "every tenant"

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, null=True, blank=True, related_name="+",
        help_text="Empty: the platform's, for all tenants.",
    )  # fmt: skip
    name = models.SlugField(max_length=100)
    # --- cache ---
    cache = models.BooleanField(default=True, help_text="Serve and store answers.")
    strictness = models.CharField(
        max_length=8, choices=[(each.value, each.value) for each in Strictness],
        default=DEFAULT.value,
    )  # fmt: skip
    shadow = models.BooleanField(
        default=False, help_text="Note which similar answers would be served; serve none."
    )
    ttl_seconds = models.PositiveIntegerField(
        default=86_400, help_text="How long an answer is served."
    )
    byte_budget = models.PositiveBigIntegerField(
        default=64 * 1024 * 1024, help_text="Bytes of answers the tenant keeps."
    )
    max_temperature = models.FloatField(
        default=0.3, validators=[MinValueValidator(0.0), MaxValueValidator(2.0)],
        help_text="Hotter requests are neither served from the cache nor stored.",
    )  # fmt: skip
    visibility = models.CharField(
        max_length=6, choices=Visibility.choices, default=Visibility.TENANT,
        help_text="The widest circle that an answer is shared in.",
    )  # fmt: skip
    # --- compression ---
    compress = models.BooleanField(default=False)
    token_budget = models.PositiveIntegerField(
        null=True, blank=True, help_text="Prompt tokens to come down to. Empty: no budget."
    )
    examples = models.PositiveSmallIntegerField(
        null=True, blank=True,
        help_text="Few-shot examples to keep, those that fit the question best. Empty: all.",
    )  # fmt: skip
    # --- routing ---
    allowed_models = models.JSONField(
        default=list, blank=True, help_text="Names of models; empty: all."
    )
    quality_floor = models.FloatField(
        default=0.7, validators=SHARE, help_text="Least expected share of good answers."
    )
    simple_budget = models.PositiveBigIntegerField(
        default=MILLI_DOLLAR, help_text="Nano-dollars for one simple call."
    )
    complex_budget = models.PositiveBigIntegerField(
        default=10 * MILLI_DOLLAR, help_text="Nano-dollars for one complex call."
    )
    critical_budget = models.PositiveBigIntegerField(
        default=50 * MILLI_DOLLAR, help_text="Nano-dollars for one critical call."
    )
    epsilon = models.FloatField(
        default=0.0, validators=SHARE, help_text="Share of calls that try another model."
    )
    fallbacks = models.PositiveSmallIntegerField(
        default=2, help_text="Models to try after the chosen one."
    )
    max_output = models.PositiveIntegerField(
        default=1024, help_text="Tokens of an answer when a request does not say."
    )
    # --- limits ---
    limits = models.JSONField(
        default=list, blank=True, help_text="Names of limits, beside those for every call."
    )
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    revision = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]
        verbose_name_plural = "gateway policies"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "name"], name="one_gateway_policy_per_name"),
            models.UniqueConstraint(
                fields=["name"], condition=Q(tenant=None), name="one_platform_gateway_policy"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def call_budget(self, task_class: str) -> int:
        """Nano-dollars that one call of a class may cost."""
        budget: int = getattr(self, f"{TaskClass(task_class).value}_budget")
        return budget

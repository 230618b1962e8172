"""Rows of policies: what is limited, for whom, how fast, and what happens beyond that."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from ansf_platform.accounts.models import Tenant


class Policy(models.Model):
    """A limit by name; without a tenant it is the platform's and holds for everybody."""

    class Unit(models.TextChoices):
        REQUESTS = "requests"
        TOKENS = "tokens"
        COST = "cost", "cost (millionths of a dollar)"
        CONCURRENCY = "concurrency", "concurrency (at the same time)"

    class Scope(models.TextChoices):
        GLOBAL = "global", "global: one bucket for all"
        TENANT = "tenant"
        USER = "user"
        TOKEN = "token"  # noqa: S105 - what is counted by
        SWARM = "swarm"
        AGENT = "agent"
        DEFINITION = "definition"
        MODEL = "model"
        ADDRESS = "address", "address of the client"
        TEMPLATE = "template", "template: as the key template says"

    class OnDeny(models.TextChoices):
        WAIT = "wait", "wait for the next slot"
        REJECT = "reject", "refuse, and say when to come back"
        SHED = "shed", "refuse and drop the work"

    class WithoutRedis(models.TextChoices):
        DENY = "deny", "deny everything"
        ALLOW = "allow", "allow everything"
        LOCAL = "local", "each process decides on its share"

    class Place(models.TextChoices):
        NAMED = "named", "where a swarm, definition or handler names it"
        API = "api", "each request to the REST API"
        LOGIN = "login", "each attempt to sign in"
        GATEWAY = "gateway", "each call of a model"

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, null=True, blank=True, related_name="+",
        help_text="Empty: the platform's, for all tenants.",
    )  # fmt: skip
    name = models.SlugField(max_length=100)
    unit = models.CharField(max_length=11, choices=Unit.choices, default=Unit.REQUESTS)
    limit = models.PositiveIntegerField(help_text="Units in each period, on the long run.")
    period_seconds = models.DecimalField(
        max_digits=14, decimal_places=6, default=1,
        help_text="With concurrency: how long a holder that has died keeps its slot.",
    )  # fmt: skip
    burst = models.PositiveIntegerField(
        null=True, blank=True, help_text="Units at once after a pause. Empty: as many as the limit."
    )
    scope = models.CharField(max_length=10, choices=Scope.choices, default=Scope.TENANT)
    key_template = models.CharField(
        max_length=200, blank=True, help_text="For scope template, such as {tenant}:{model}."
    )
    on_deny = models.CharField(
        max_length=6, choices=OnDeny.choices, default=OnDeny.WAIT,
        help_text="Web requests (api, login) do not wait: there use reject or shed.",
    )  # fmt: skip
    without_redis = models.CharField(
        max_length=5, choices=WithoutRedis.choices, default=WithoutRedis.LOCAL
    )
    applies_to = models.CharField(max_length=7, choices=Place.choices, default=Place.NAMED)
    enabled = models.BooleanField(default=True)
    shadow = models.BooleanField(default=False, help_text="Counts, and never denies.")
    created_at = models.DateTimeField(auto_now_add=True)
    revision = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]
        verbose_name_plural = "policies"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "name"], name="one_policy_per_name"),
            models.UniqueConstraint(
                fields=["name"], condition=Q(tenant=None), name="one_platform_policy_per_name"
            ),
            models.CheckConstraint(
                condition=Q(limit__gte=1, period_seconds__gt=0), name="policy_has_a_rate"
            ),
        ]

    def __str__(self) -> str:
        return self.name

"""Rows of money: every call once, budgets with what is held and spent of them, roll-ups.

Names of swarms, agents, definitions, models and providers are texts, not references: what was
paid stays told when they are gone, and swarms live in a package above this one.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from ansf_platform.accounts.models import Tenant
from gateway.models.configuration import TaskClass

NAME = 100
"""Characters."""


class Period(models.TextChoices):
    """Calendar days and months of UTC."""

    DAY = "day"
    MONTH = "month"


class Amounts(models.Model):
    """Tokens and nano-dollars, of one call or of many.

    `baseline` is what the priciest allowed model would have cost with the prompt as it came and
    nothing cached; cost and savings add up to it.
    """

    tokens_in = models.PositiveBigIntegerField(default=0)
    tokens_out = models.PositiveBigIntegerField(default=0)
    tokens_cached = models.PositiveBigIntegerField(
        default=0, help_text="Of the prompt's, those the provider had cached."
    )
    cost = models.PositiveBigIntegerField(default=0, help_text="Nano-dollars.")
    baseline = models.BigIntegerField(default=0, help_text="Nano-dollars.")
    saved_cache = models.BigIntegerField(default=0, help_text="Nano-dollars.")
    saved_routing = models.BigIntegerField(default=0, help_text="Nano-dollars.")
    saved_compression = models.BigIntegerField(default=0, help_text="Nano-dollars.")

    class Meta:
        abstract = True


class LedgerEntry(Amounts):
    """One call that was answered; the request id makes writing it twice harmless."""

    class Hit(models.TextChoices):
        NONE = "none", "the model was called"
        EXACT = "exact"
        NORMALISED = "normalised"
        SIMILAR = "similar"
        COALESCED = "coalesced", "an identical call was under way"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    request_id = models.CharField(max_length=NAME)
    at = models.DateTimeField(default=timezone.now)
    swarm = models.CharField(max_length=NAME, blank=True)
    agent = models.CharField(max_length=NAME, blank=True)
    definition = models.CharField(max_length=NAME, blank=True)
    model = models.CharField(max_length=NAME)
    provider = models.CharField(max_length=NAME, blank=True)
    policy = models.CharField(max_length=NAME, blank=True)
    task_class = models.CharField(max_length=8, choices=TaskClass.choices, default=TaskClass.SIMPLE)
    hit_level = models.CharField(max_length=10, choices=Hit.choices, default=Hit.NONE)
    simulated = models.BooleanField(default=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        verbose_name_plural = "ledger entries"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["tenant", "at"], name="ledger_by_tenant"),
            models.Index(fields=["at"], name="ledger_by_time"),
        ]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "request_id"], name="one_entry_per_request"),
            models.CheckConstraint(
                condition=Q(
                    baseline=F("cost")
                    + F("saved_cache")
                    + F("saved_routing")
                    + F("saved_compression")
                ),
                name="ledger_adds_up",
            ),
        ]

    def __str__(self) -> str:
        return self.request_id


class Rollup(Amounts):
    """All calls of a day or a month with the same names; made from the entries, again at will."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    period = models.CharField(max_length=5, choices=Period.choices)
    start = models.DateField()
    swarm = models.CharField(max_length=NAME, blank=True)
    agent = models.CharField(max_length=NAME, blank=True)
    definition = models.CharField(max_length=NAME, blank=True)
    model = models.CharField(max_length=NAME)
    provider = models.CharField(max_length=NAME, blank=True)
    calls = models.PositiveBigIntegerField(default=0)
    hits = models.PositiveBigIntegerField(default=0, help_text="Calls answered without a model.")

    class Meta:
        ordering: ClassVar[list[str]] = ["-start", "id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=[
                    "tenant", "period", "start", "swarm", "agent", "definition", "model",
                    "provider",
                ],
                name="one_rollup_per_names",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.tenant} {self.period} {self.start}"


class Budget(models.Model):
    """What may be spent in a day or a month: warned of from `soft`, refused beyond `hard`."""

    class Scope(models.TextChoices):
        TENANT = "tenant", "all calls of the tenant"
        SWARM = "swarm"
        AGENT = "agent"
        DEFINITION = "definition"
        MODEL = "model"

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    name = models.SlugField(max_length=NAME)
    scope = models.CharField(max_length=10, choices=Scope.choices, default=Scope.TENANT)
    subject = models.CharField(
        max_length=NAME, blank=True, help_text="Name of the swarm, agent, …; empty for the tenant."
    )
    period = models.CharField(max_length=5, choices=Period.choices, default=Period.MONTH)
    soft = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Nano-dollars to warn from. Empty: no warning."
    )
    hard = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Nano-dollars never to exceed. Empty: no stop."
    )
    imposed = models.BooleanField(
        default=False, help_text="Set by the platform: only superusers may change it."
    )
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    revision = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "name"], name="one_budget_per_name"),
            models.CheckConstraint(
                condition=(Q(scope="tenant") & Q(subject=""))
                | (~Q(scope="tenant") & ~Q(subject="")),
                name="budget_subject_unless_tenant",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class BudgetPeriod(models.Model):
    """What one period of a budget has taken; its row is locked by whoever reserves or settles."""

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="periods")
    start = models.DateField()
    spent = models.PositiveBigIntegerField(default=0, help_text="Nano-dollars settled.")
    held = models.PositiveBigIntegerField(default=0, help_text="Nano-dollars of calls under way.")
    warned_at = models.DateTimeField(null=True, help_text="When it reached the soft bound.")

    class Meta:
        ordering: ClassVar[list[str]] = ["-start"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["budget", "start"], name="one_period_per_start"),
        ]

    def __str__(self) -> str:
        return f"{self.budget} from {self.start}"


class BudgetHold(models.Model):
    """What a call under way has reserved of a period, until it is settled or cancelled."""

    period = models.ForeignKey(BudgetPeriod, on_delete=models.CASCADE, related_name="holds")
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    request_id = models.CharField(max_length=NAME)
    amount = models.PositiveBigIntegerField(help_text="Nano-dollars.")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["tenant", "request_id", "period"], name="one_hold_per_request"
            ),
        ]

    def __str__(self) -> str:
        return self.request_id

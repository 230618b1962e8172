"""Rows of pattern memory. They are the truth; every index is made from them."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from ansf_platform.accounts.models import Tenant

LARGEST_DIMENSION = 4096
LARGEST_QUOTA = 1_000_000
DEFAULT_QUOTA = 100_000
DEFAULT_THRESHOLD = 0.98


SETTINGS = (
    "tenant", "slug", "description", "dimension", "encoder", "metric", "backend", "quota",
    "dedup_threshold", "revision",
)  # fmt: skip


class Namespace(models.Model):
    """A collection of vectors that are compared with each other, and how that is done."""

    class Encoder(models.TextChoices):
        NONE = "", "none: vectors are given"
        SEED = "seed-384", "statistics, spectrum, warping, wavelets"
        MINIROCKET = "minirocket-384", "random convolutions and statistics"

    class Metric(models.TextChoices):
        COSINE = "cosine", "cosine of the angle"
        EUCLIDEAN = "euclidean", "1 / (1 + distance)"

    class Backend(models.TextChoices):
        SCAN = "scan", "scan of int8 codes"
        FAISS = "faiss", "graph in memory (faiss)"
        PGVECTOR = "pgvector", "index in PostgreSQL (pgvector)"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    slug = models.SlugField(max_length=50)
    description = models.CharField(max_length=300, blank=True)
    dimension = models.PositiveSmallIntegerField(
        default=384, validators=[MinValueValidator(1), MaxValueValidator(LARGEST_DIMENSION)]
    )
    encoder = models.CharField(max_length=20, choices=Encoder.choices, blank=True)
    metric = models.CharField(max_length=10, choices=Metric.choices, default=Metric.COSINE)
    backend = models.CharField(max_length=10, choices=Backend.choices, default=Backend.SCAN)
    quota = models.PositiveIntegerField(
        default=DEFAULT_QUOTA,
        validators=[MinValueValidator(1), MaxValueValidator(LARGEST_QUOTA)],
        help_text="Patterns at most.",
    )
    dedup_threshold = models.FloatField(
        null=True,
        blank=True,
        default=DEFAULT_THRESHOLD,
        validators=[MinValueValidator(0.01), MaxValueValidator(1.0)],
        help_text="Score from which a new vector is merged into its nearest; empty: never.",
    )
    scaler = models.BinaryField(
        default=b"", blank=True, editable=False,
        help_text="Mean and deviation of every dimension, float64; empty: as they are.",
    )  # fmt: skip
    scaler_version = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    revision = models.PositiveIntegerField(default=1, editable=False)
    # What indexes follow. `changes` numbers every change of a pattern, under this row's lock;
    # a new `generation` says that nothing made before may be used.
    uid = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    changes = models.PositiveBigIntegerField(default=0, editable=False)
    generation = models.PositiveIntegerField(default=1, editable=False)
    live = models.PositiveIntegerField(default=0, editable=False, help_text="Patterns it holds.")

    class Meta:
        ordering: ClassVar[list[str]] = ["slug"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "slug"], name="one_namespace_per_slug"),
        ]

    def __str__(self) -> str:
        return self.slug

    def save(self, *args: Any, **options: Any) -> None:
        """Store the settings; what is counted is written under the row's lock, and named."""
        if not self._state.adding and options.get("update_fields") is None:
            options["update_fields"] = SETTINGS
        super().save(*args, **options)


class Pattern(models.Model):
    """A vector that was seen `count` times; `vector` is the mean of all that were merged."""

    id = models.BigAutoField(primary_key=True)
    namespace = models.ForeignKey(Namespace, on_delete=models.CASCADE, related_name="patterns")
    metadata = models.JSONField(default=dict, blank=True)
    vector = models.BinaryField(help_text="float32, little-endian, as encoded: not yet scaled.")
    count = models.PositiveBigIntegerField(default=1)
    changed = models.PositiveBigIntegerField(help_text="Number of its last change.")
    removed = models.BooleanField(
        default=False, help_text="Kept until the next reindex, so that every index hears of it."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["namespace", "changed"], name="one_pattern_per_change"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["namespace", "-id"], condition=Q(removed=False), name="pattern_list"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.pk}"

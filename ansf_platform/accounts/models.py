"""Rows of tenants, memberships, API tokens, idempotent requests and the audit trail."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

DEFAULT_TENANT = "default"


class Tenant(models.Model):
    """A customer, team or environment; everything that is submitted belongs to one."""

    slug = models.SlugField(unique=True, max_length=50)
    name = models.CharField(max_length=100)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["slug"]

    def __str__(self) -> str:
        return self.slug


class Membership(models.Model):
    """A person's place in a tenant; a superuser belongs to every tenant without one."""

    class Role(models.TextChoices):
        VIEWER = "viewer"
        OPERATOR = "operator"
        ADMIN = "admin"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=8, choices=Role.choices, default=Role.VIEWER)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["user", "tenant"], name="one_membership_per_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.tenant} as {self.role}"


class ApiToken(models.Model):
    """A machine's credential: hashed, scoped, expiring, revocable."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16, help_text="The first letters, to recognise it by.")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the secret.")
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revision = models.PositiveIntegerField(default=1)

    class Meta:
        ordering: ClassVar[list[str]] = ["tenant", "name"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class IdempotentRequest(models.Model):
    """The answer given to a request that carried an ``Idempotency-Key``, kept for 24 hours."""

    actor = models.CharField(max_length=80, help_text="token:ID or user:ID")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    response_status = models.PositiveSmallIntegerField(null=True)
    response_headers = models.JSONField(default=dict)
    response_body = models.TextField(default="")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["actor", "key"], name="one_answer_per_actor_and_key"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.key}"


class AuditEntry(models.Model):
    """One change that somebody made, written in the same transaction as the change."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, null=True, related_name="+")
    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=80, help_text="token:ID, user:ID, command or coordinator")
    action = models.CharField(max_length=60, help_text="Dotted: swarm.pause, task.cancel")
    object_type = models.CharField(max_length=40)
    object_id = models.CharField(max_length=80)
    detail = models.JSONField(default=dict)
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        verbose_name_plural = "audit entries"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["tenant", "-id"], name="audit_by_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"

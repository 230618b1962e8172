"""The one writer of namespaces: REST, admin and commands pass through here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from ansf_platform.accounts.models import Tenant
from ansf_platform.field_errors import FieldError
from patterns import backends, encoders, generations, memory
from patterns.errors import Invalid, NotFound, Refused, wrong
from patterns.index import views
from patterns.models import Namespace, Pattern

FREE = ("description", "quota", "dedup_threshold", "backend")
"""What may change at any time."""
FIXED = ("slug", "dimension", "encoder", "metric")
"""What the stored vectors are; fixed while there are any (the slug: for ever)."""
MOST_OF_A_TENANT = 1000


def named(tenant: Tenant, slug: str) -> Namespace:
    """The tenant's namespace. Raises NotFound."""
    found = Namespace.objects.filter(tenant=tenant, slug=slug).first()
    if found is None:
        raise NotFound(f"there is no namespace {slug[:60]!r}: `patterns namespaces` lists them")
    return found


def create(tenant: Tenant, columns: Mapping[str, Any]) -> Namespace:
    """A new, empty namespace. Raises Invalid, and Refused when the name is taken."""
    namespace = Namespace(tenant=tenant, **columns)
    if namespace.encoder and "dimension" not in columns:
        namespace.dimension = encoders.DIMENSIONS.get(namespace.encoder, namespace.dimension)
    _check(namespace)
    if Namespace.objects.filter(tenant=tenant).count() >= MOST_OF_A_TENANT:
        raise Refused(f"there are {MOST_OF_A_TENANT} namespaces already: remove some")
    try:
        with transaction.atomic():
            namespace.save()
            backends.of(namespace).rebuild(namespace)
    except IntegrityError as error:
        raise Refused(
            f"there is a namespace {namespace.slug!r} already: change that one"
        ) from error
    return namespace


def configure(namespace: Namespace, columns: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Change columns; old and new value of each that differs. Raises Invalid, Refused."""
    with transaction.atomic():
        locked = memory.lock(namespace)
        changed = {
            name: [getattr(locked, name), value]
            for name, value in columns.items()
            if getattr(locked, name) != value
        }
        if not changed:
            return {}
        _refuse_fixed(locked, set(changed))
        for name, (_, value) in changed.items():
            setattr(locked, name, value)
        _check(locked)
        locked.revision += 1
        locked.save(update_fields=[*changed, "revision"])
        renew(locked, changed)
        for name in (*changed, "revision", "generation"):
            setattr(namespace, name, getattr(locked, name))
    return changed


def renew(namespace: Namespace, changed: Collection[str]) -> None:
    """Start an index anew that was made for other columns; the caller has saved and locked."""
    columns = set(changed)
    if columns & {"dimension", "encoder"}:
        namespace.scaler = b""
    if columns & {"dimension", "encoder", "metric", "backend"}:
        generations.start_anew(namespace)


def judge(namespace: Namespace, columns: Mapping[str, Any]) -> None:
    """Whether these columns could be the namespace's, which is locked. Raises as the others."""
    stored = memory.lock(namespace) if namespace.pk else None
    if stored is not None:
        _refuse_fixed(
            stored, {name for name, value in columns.items() if getattr(stored, name) != value}
        )
    _check(Namespace(**{"slug": namespace.slug} | dict(columns)))


def remove(namespace: Namespace) -> int:
    """Remove a namespace with all it holds; how many patterns that were."""
    with transaction.atomic():
        locked = memory.lock(namespace)
        count = locked.live
        Pattern.objects.filter(namespace=locked).delete()
        locked.delete()
        transaction.on_commit(lambda: views.drop(namespace))
    return count


def _refuse_fixed(namespace: Namespace, changed: set[str]) -> None:
    fixed = sorted(changed & set(FIXED))
    if "slug" in fixed:
        raise wrong("/slug", "cannot be changed: others refer to it")
    if fixed and Pattern.objects.filter(namespace=namespace).exists():
        raise Refused(
            f"{', '.join(fixed)} cannot change while {namespace} holds patterns: make another "
            "namespace and import what this one exports"
        )


def _check(namespace: Namespace) -> None:
    """Raises Invalid that names every mistake."""
    try:
        namespace.clean_fields(exclude=["scaler", "tenant"])
    except ValidationError as error:
        raise Invalid(
            FieldError(f"/{name}", text)
            for name, texts in error.message_dict.items()
            for text in texts
        ) from error
    if namespace.encoder:
        wanted = encoders.DIMENSIONS.get(namespace.encoder)
        if wanted is None:
            raise wrong("/encoder", f"choose one of {', '.join(encoders.DIMENSIONS)}, or none")
        if namespace.dimension != wanted:
            raise wrong("/dimension", f"{namespace.encoder} makes {wanted} dimensions")
    lacking = backends.of(namespace).lacking()
    if lacking:
        raise wrong("/backend", lacking)

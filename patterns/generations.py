"""A new generation of a namespace: its index, and when asked its scaler, begin anew."""

from __future__ import annotations

from patterns import backends
from patterns.errors import wrong
from patterns.models import Namespace, Pattern
from patterns.vectors import Moments, from_bytes, scaler_bytes

CHUNK = 1000
"""Rows read at once."""


def start_anew(namespace: Namespace, *, refit: bool = False) -> None:
    """A new generation: no index made before may be used."""
    if refit:
        if not namespace.encoder:
            raise wrong("/refit", f"{namespace} has no encoder: vectors are compared as given")
        moments = Moments.of_none(namespace.dimension)
        found = Pattern.objects.filter(namespace=namespace, removed=False)
        for raw in found.order_by().values_list("vector", flat=True).iterator(chunk_size=CHUNK):
            moments.add(from_bytes(bytes(raw), namespace.dimension))
        scaler = moments.scaler(namespace.encoder, namespace.scaler_version + 1)
        namespace.scaler, namespace.scaler_version = scaler_bytes(scaler), scaler.version
    namespace.generation += 1
    namespace.save(update_fields=["generation", "scaler", "scaler_version"])
    backends.of(namespace).rebuild(namespace)

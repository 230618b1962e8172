"""The names of everything the cache keeps in Redis.

``ansf:cache:{<partition>}:<kind>[:<digest>]``. A partition is a tenant, or what all tenants share;
its name is the hash tag, so that one script reaches all keys of it in a Redis Cluster too. Nothing
that a caller wrote stands in a name: digests, and ids that the database gave.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

SHARED = "shared"
_PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ENTRY = re.compile(r"[st][0-9a-f]{24}")


@dataclass(frozen=True, slots=True)
class Partition:
    """The keys of one tenant, or of what is shared (an empty `tenant`)."""

    tenant: str
    prefix: str = "ansf:cache"

    @property
    def name(self) -> str:
        """As in the hash tag."""
        if not self.tenant:
            return SHARED
        if _PLAIN_ID.fullmatch(self.tenant):
            return f"t:{self.tenant}"
        return "d:" + digest_of(self.tenant)

    @property
    def root(self) -> str:
        """What all names of the partition begin with."""
        return f"{self.prefix}:{{{self.name}}}:"

    def new_entry(self) -> str:
        """An id for an entry; its first letter says whether it is shared."""
        return ("t" if self.tenant else "s") + secrets.token_hex(12)


def is_shared(entry: str) -> bool:
    """Whether an entry belongs to all tenants."""
    return entry.startswith("s")


def home_of(entry: str, own: Partition) -> Partition | None:
    """Where an entry lies: shared, or in the tenant's own partition; None: that is no entry."""
    if not _ENTRY.fullmatch(entry):
        return None
    return Partition("", own.prefix) if is_shared(entry) else own


def digest_of(text: str) -> str:
    """SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

"""The names of everything a limiter keeps in Redis, made in one place.

``ansf:rl:{tag}:<kind>:<policy>:<subject>``. The tag decides where a Redis Cluster keeps a key:
all of them together, or one place for each tenant and one for what tenants share.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from ratelimit.buckets import Bucket

Kind = Literal["level", "slots", "reservation", "count", "top"]
_LONGEST = 200  # characters of policy and subject; a longer name is kept as its digest


@dataclass(frozen=True, slots=True)
class Keys:
    """Names under one prefix."""

    prefix: str = "ansf:rl"
    shard_by: Literal["", "tenant"] = ""

    def of(self, kind: Kind, bucket: Bucket) -> str:
        """Where a bucket's level or slots are."""
        return self.named(kind, self.tag(bucket), bucket.name, bucket.key)

    def named(self, kind: Kind, tag: str, *parts: str) -> str:
        """Any key. Parts are escaped, so that no two lists of parts share a name."""
        name = ":".join(part.replace("%", "%25").replace(":", "%3A") for part in parts[:-1])
        name = f"{name}:{parts[-1]}" if name else parts[-1]
        if len(name) > _LONGEST:
            name = "#" + hashlib.blake2b(name.encode(), digest_size=20).hexdigest()
        return f"{self.prefix}:{{{tag}}}:{kind}:{name}"

    def tag(self, bucket: Bucket) -> str:
        """The hash tag of a bucket's keys."""
        return f"t:{bucket.tenant}" if self.shard_by and bucket.tenant else "ansf"

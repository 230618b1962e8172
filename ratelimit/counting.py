"""What limits decided, counted in each process and gathered in Redis once a second.

A decision costs its caller a dictionary entry; a thread sends the sums. They lie under keys of
their own and expire: seconds of the last minutes per policy, the keys that asked most, the last
denial, and totals that only grow. Nothing waits for them: while Redis is away the sums of a
process are kept, up to a bound, and what goes beyond is forgotten.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import redis
from django.conf import settings

from ratelimit.buckets import Bucket
from ratelimit.decision import BucketState, Decision, Grant

logger = logging.getLogger(__name__)

FLUSH_S = 1.0
TIMEOUT_S = 0.5
MOST_POLICIES = 1_000  # with something to tell, in one process between two flushes
MOST_KEYS = 100  # of a policy, the same; more are not counted by key
KEPT_KEYS = 200  # of a policy in Redis
SECONDS_KEPT_S = 300
KEYS_KEPT_S = 900
DENIAL_KEPT_S = 7 * 86_400
TOTALS_KEPT_S = 30 * 86_400
PREFIX = "ansf:limits:{seen}"  # one place in a Cluster
TOTALS = f"{PREFIX}:totals"
OUTCOMES = ("allowed", "denied", "shadowed", "degraded", "returned")
"""What is counted in units. `degraded` are those decided without Redis, whatever the outcome;
`returned` were allowed, and given back: by a refund, or by a settlement below the estimate."""
LONGEST_KEY = 300  # characters of a subject's part as it is shown


@dataclass(slots=True)
class Sums:
    """What one process saw of one policy since the last flush."""

    outcomes: Counter[str] = field(default_factory=Counter)
    keys: Counter[str] = field(default_factory=Counter)
    denial: tuple[str, float | None] | None = None  # the key, and the seconds it was told to wait


@cache
def _client(url: str) -> Any:
    return redis.Redis.from_url(
        url,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        decode_responses=True,
        retry=None,
    )


def connected() -> Any:
    """The process's client for what is seen; it answers within half a second or raises."""
    return _client(settings.REDIS_URL)


def identity(bucket: Bucket) -> str:
    """Which policy a bucket is of: its owner's id ("" for the platform's) and its name."""
    owner = bucket.key[1:].partition("/")[0] if bucket.key.startswith("@") else ""
    return policy_identity(owner, bucket.name)


def policy_identity(owner: str, name: str) -> str:
    """The same from its parts."""
    return f"{owner}:{name}"


class Tally:
    """The counts of this process, and the thread that sends them."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew: in a process that was forked, whose thread stayed behind."""
        self._lock = threading.Lock()
        self._sums: dict[str, Sums] = {}
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Send what there is and end the thread; the next decision starts another."""
        self._stopped.set()
        self.flush()
        self.reset()

    def count(self, buckets: Sequence[Bucket], decision: Decision, cost: int = 1) -> None:
        """Note a decision over these buckets, whose states are told in the same order."""
        states = decision.per_bucket or (None,) * len(buckets)
        with self._lock:
            for bucket, state in zip(buckets, states, strict=False):
                sums = self._sums_of(identity(bucket))
                if sums is not None:
                    _note(sums, bucket, state, decision, cost)
        self._ensure_thread()

    def count_grant(self, bucket: Bucket, grant: Grant) -> None:
        """Note units that were taken from one bucket; none of them is a denial."""
        with self._lock:
            sums = self._sums_of(identity(bucket))
            if sums is not None:
                _note_grant(sums, bucket, grant)
        self._ensure_thread()

    def count_returned(self, changes: Iterable[tuple[Bucket, int]]) -> None:
        """Note units that were given back; below zero: charged later on, as by a settlement."""
        with self._lock:
            for bucket, units in changes:
                sums = self._sums_of(identity(bucket))
                if sums is not None and units:
                    sums.outcomes["returned" if units > 0 else "allowed"] += abs(units)
        self._ensure_thread()

    def _sums_of(self, policy: str) -> Sums | None:
        sums = self._sums.get(policy)
        if sums is None and len(self._sums) < MOST_POLICIES:
            sums = self._sums[policy] = Sums()
        return sums

    def _ensure_thread(self) -> None:
        if self._thread is None and settings.REDIS_URL:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._run, args=(self._stopped,), name="limit-counts", daemon=True
                    )
                    self._thread.start()

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.wait(FLUSH_S):
            self.flush()

    def flush(self) -> bool:
        """Send the sums; whether they arrived. They are kept when Redis is away."""
        with self._lock:
            sums, self._sums = self._sums, {}
        if not (sums and settings.REDIS_URL):
            return True
        try:
            _send(connected(), sums)
        except (redis.RedisError, OSError) as error:
            logger.debug("counts of limits stay here: %s", error)
            self._keep(sums)
            return False
        return True

    def _keep(self, unsent: dict[str, Sums]) -> None:
        with self._lock:
            for policy, old in unsent.items():
                sums = self._sums_of(policy)
                if sums is not None:
                    sums.outcomes += old.outcomes
                    sums.keys = Counter(dict((sums.keys + old.keys).most_common(MOST_KEYS)))
                    sums.denial = sums.denial or old.denial


def _note(
    sums: Sums, bucket: Bucket, state: BucketState | None, decision: Decision, cost: int
) -> None:
    short = state.short if state is not None else not decision.allowed
    if short and not bucket.shadow:
        sums.outcomes["denied"] += cost
        sums.denial = (bucket.key, state.retry_after if state is not None else None)
    elif short and decision.allowed:
        sums.outcomes["shadowed"] += cost
    elif decision.allowed:  # otherwise another bucket denied, and this one was not charged
        sums.outcomes["allowed"] += cost
    if decision.degraded:
        sums.outcomes["degraded"] += cost
    if bucket.key in sums.keys or len(sums.keys) < MOST_KEYS:
        sums.keys[bucket.key] += cost


def _note_grant(sums: Sums, bucket: Bucket, grant: Grant) -> None:
    units = grant.granted or 1
    sums.outcomes["allowed" if grant.granted else "denied"] += units - grant.shadowed
    sums.outcomes["shadowed"] += grant.shadowed
    if not grant.granted:
        sums.denial = (bucket.key, grant.retry_after)
    if grant.degraded:
        sums.outcomes["degraded"] += units
    if bucket.key in sums.keys or len(sums.keys) < MOST_KEYS:
        sums.keys[bucket.key] += units


def _send(client: Any, gathered: dict[str, Sums]) -> None:
    # The server's second: processes on hosts with other clocks add to the same one.
    now = int(client.time()[0])
    with client.pipeline(transaction=False) as pipe:
        for policy, sums in gathered.items():
            minute = seconds_key(policy, now // 60)
            for outcome, units in sums.outcomes.items():
                pipe.hincrby(minute, f"{now % 60}:{outcome}", units)
                pipe.hincrby(TOTALS, f"{policy}|{outcome}", units)
            pipe.expire(minute, SECONDS_KEPT_S)
            _send_keys(pipe, policy, sums, now)
        pipe.expire(TOTALS, TOTALS_KEPT_S)
        pipe.execute()


def _send_keys(pipe: Any, policy: str, sums: Sums, now: int) -> None:
    asked = keys_key(policy, now // KEYS_KEPT_S)
    for key, units in sums.keys.items():
        pipe.zincrby(asked, units, key[:LONGEST_KEY])
    pipe.zremrangebyrank(asked, 0, -KEPT_KEYS - 1)
    pipe.expire(asked, 2 * KEYS_KEPT_S)
    if sums.denial is not None:
        key, wait = sums.denial
        told = json.dumps({"key": key[:LONGEST_KEY], "at": now, "retry_after": wait})
        pipe.set(denial_key(policy), told, ex=DENIAL_KEPT_S)


def forget(policy: str) -> None:
    """Let go of what is kept of a policy that is no more; while Redis is away nothing happens."""
    if not settings.REDIS_URL:
        return
    try:
        client = connected()
        now = int(client.time()[0])
        client.hdel(TOTALS, *(f"{policy}|{outcome}" for outcome in OUTCOMES))
        client.delete(
            denial_key(policy),
            *(seconds_key(policy, minute) for minute in (now // 60 - 1, now // 60)),
            *(keys_key(policy, now // KEYS_KEPT_S - ago) for ago in (0, 1)),
        )
    except (redis.RedisError, OSError) as error:
        logger.debug("counts of %s stay: %s", policy, error)


def seconds_key(policy: str, minute: int) -> str:
    """Where the seconds of a minute lie."""
    return f"{PREFIX}:{policy}:s:{minute}"


def keys_key(policy: str, quarter: int) -> str:
    """Where the keys that asked in a quarter of an hour lie."""
    return f"{PREFIX}:{policy}:k:{quarter}"


def denial_key(policy: str) -> str:
    """Where the last denial lies."""
    return f"{PREFIX}:{policy}:d"


TALLY = Tally()
os.register_at_fork(after_in_child=TALLY.reset)
atexit.register(TALLY.flush)


def count(buckets: Sequence[Bucket], decision: Decision, cost: int = 1) -> None:
    """Note a decision in this process."""
    TALLY.count(buckets, decision, cost)


def count_grant(bucket: Bucket, grant: Grant) -> None:
    """Note units that were taken, in this process."""
    TALLY.count_grant(bucket, grant)


def count_returned(changes: Iterable[tuple[Bucket, int]]) -> None:
    """Note units that were given back, in this process."""
    TALLY.count_returned(changes)

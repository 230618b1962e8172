"""What a decision costs beside a PING and beside other limiters, and how exact each of them is.

One client, one server, everything in turn (A B C … A B C …). Costs are ratios to the PING of the
same round through redis-py, on buckets that allow. Exactness is asked of all at once for some
seconds, three times faster than the rules allow: how far what each admitted is from what its own
definition says.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from statistics import fmean
from statistics import median as middle

import redis

from ansf_platform.services.valkey import Valkey
from benchmarks.figures import Figure, Findings, median
from benchmarks.limit_peers import PEERS, Ask, Peer, Rule
from ratelimit.buckets import Bucket
from ratelimit.lease import LeasedLimiter
from ratelimit.limiter import Limiter
from ratelimit.quota import Quota

ROUNDS = 60
CALLS = 25  # of each kind in a round
K = 100
LEASES = 20  # of K units, in a round
WIDE = Rule(limit=10_000, seconds=1, burst=10_000)
"""Wide enough that nobody denies while costs are compared."""
NARROW = (Rule(10, 3, 10), Rule(100, 3, 10), Rule(30, 1, 5))
ACCURACY_S = 5.9  # just within two periods of three seconds
_TICK_S = 0.01
_PATIENT_S = 1.0
_US = 1e6

Call = Callable[[], object]


def measure(tasks: int | None, rounds: int | None) -> Findings:
    """Costs, leases and exactness."""
    findings = Findings("ratelimit", "manage.py bench ratelimit --json")
    with Valkey() as valkey, redis.Redis.from_url(valkey.url) as client:
        findings.servers["valkey"] = valkey.version()
        findings.servers |= {peer.distribution: version(peer.distribution) for peer in PEERS}
        limiter = Limiter(client, budget_s=_PATIENT_S, connect_s=_PATIENT_S)
        calls = _decisions(limiter, valkey.url) | {"ping": client.ping}
        _costs(findings, calls, tasks or CALLS, rounds or ROUNDS)
        _leases(findings, limiter, client.ping, rounds or ROUNDS)
        _accuracy(findings, limiter, valkey.url)
        limiter.close()
    return findings


def _decisions(limiter: Limiter, url: str) -> dict[str, Call]:
    buckets = [_bucket(WIDE) for _ in range(3)]
    ours: dict[str, Call] = {
        "one_bucket": lambda: limiter.acquire(buckets[:1]),
        "three_buckets": lambda: limiter.acquire(buckets),
    }
    return ours | {peer.name: peer.make(url, _unique(), WIDE) for peer in PEERS}


def _costs(findings: Findings, calls: Mapping[str, Call], count: int, rounds: int) -> None:
    for call in calls.values():
        call()
    costs: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            costs[name].append(_typical(call, count))
    findings.add("ping_us", median([cost * _US for cost in costs["ping"]], "µs", "redis-py"))
    for name in calls:
        if name != "ping":
            ratios = [cost / ping for cost, ping in zip(costs[name], costs["ping"], strict=True)]
            findings.add(f"{name}_vs_ping", median(ratios, "×", "time of a decision ÷ of a PING"))
    buckets = [peer.name for peer in PEERS if peer.kind == "bucket"]
    fastest = min(buckets, key=lambda name: findings.figures[f"{name}_vs_ping"].value)
    ratios = [ours / peer for ours, peer in zip(costs["one_bucket"], costs[fastest], strict=True)]
    note = f"time of a decision ÷ of {fastest}, the fastest peer with a bucket"
    findings.add("one_bucket_vs_fastest_peer", median(ratios, "×", note))


def _typical(call: Call, count: int) -> float:
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return middle(times)


def _leases(findings: Findings, limiter: Limiter, ping: Call, rounds: int) -> None:
    leased = LeasedLimiter(limiter, most=K)
    bucket = [_bucket(Rule(10_000_000, 1, 1_000_000))]
    for _ in range(LEASES * K):
        leased.acquire(bucket)
    single_us, shared_us, factors = [], [], []
    for _ in range(rounds):
        # Means of both: the round trips of leases are few, and a median would not see them.
        pinged = _mean(ping, 2 * CALLS)
        leases = [_mean(lambda: leased.acquire(bucket), K) for _ in range(LEASES)]
        shared_us += [each * _US for each in leases]
        factors.append(pinged / fmean(leases))
        single_us.append(_typical(lambda: leased.acquire(bucket), LEASES * K) * _US)
    leased.close()
    findings.add("lease_us", median(single_us, "µs", f"a decision of a lease, K = {K}: its median"))
    note = f"the mean of {K} decisions of a lease, its one round trip included"
    findings.add("lease_with_round_trip_us", median(shared_us, "µs", note))
    findings.add("lease_vs_ping", median(factors, "×", "leased decisions ÷ PINGs in the same time"))


def _mean(call: Call, count: int) -> float:
    begun = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - begun) / count


def _accuracy(findings: Findings, limiter: Limiter, url: str) -> None:
    ours = Peer("ours", "", "bucket", lambda _url, _key, rule: _asking(limiter, rule))
    asked = [(peer, rule, peer.make(url, _unique(), rule)) for peer in (ours, *PEERS)
             for rule in NARROW]  # fmt: skip
    counts = _saturate([ask for _, _, ask in asked])
    for peer in (ours, *PEERS):
        found = [
            (rule, admitted, rule.exact(peer.kind, elapsed_s))
            for (owner, rule, _), (admitted, elapsed_s) in zip(asked, counts, strict=True)
            if owner is peer
        ]
        told = "; ".join(
            f"{rule.limit} per {rule.seconds} s: {admitted} of {exact}"
            for rule, admitted, exact in found
        )
        worst = max(abs(admitted - exact) / exact for _, admitted, exact in found)
        findings.add(f"{peer.name}_error", Figure(worst * 100, "%", len(found), 0, told))
        if peer is ours:
            units = max(abs(admitted - exact) for _, admitted, exact in found)
            findings.add("ours_error_units", Figure(units, "units", len(found), 0, told))


def _saturate(asks: Sequence[Ask]) -> list[tuple[int, float]]:
    """Ask all in turn; what each admitted, and the seconds between its first and last request."""
    admitted = [int(ask()) for ask in asks]
    first = [time.monotonic() for _ in asks]
    last = list(first)
    while last[-1] - first[-1] < ACCURACY_S:
        for i, ask in enumerate(asks):
            last[i] = time.monotonic()
            admitted[i] += ask()
        time.sleep(_TICK_S)
    return [(n, end - begin) for n, begin, end in zip(admitted, first, last, strict=True)]


def _asking(limiter: Limiter, rule: Rule) -> Ask:
    bucket = [_bucket(rule)]
    return lambda: limiter.acquire(bucket).allowed


def _bucket(rule: Rule) -> Bucket:
    return Bucket(_unique(), "bench", Quota.per_second(rule.limit, rule.burst, rule.seconds))


def _unique() -> str:
    return uuid.uuid4().hex

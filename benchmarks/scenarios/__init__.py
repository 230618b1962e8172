"""One module per scenario; :data:`SCENARIOS` names them."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.figures import Findings
from benchmarks.scenarios import (
    backlog,
    bus,
    cache,
    churn,
    compress,
    gateway,
    kernels,
    latency,
    limited_dispatch,
    patterns,
    priorities,
    ratelimit,
    routing,
    stream,
    throughput,
)

SCENARIOS: dict[str, Callable[[int | None, int | None], Findings]] = {
    "backlog": backlog.measure,
    "bus": bus.measure,
    "cache": cache.measure,
    "churn": churn.measure,
    "compress": compress.measure,
    "gateway": gateway.measure,
    "kernels": kernels.measure,
    "latency": latency.measure,
    "limited-dispatch": limited_dispatch.measure,
    "patterns": patterns.measure,
    "priorities": priorities.measure,
    "ratelimit": ratelimit.measure,
    "routing": routing.measure,
    "stream": stream.measure,
    "throughput": throughput.measure,
}

"""What the figures have to reach, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on one figure."""

    scenario: str
    figure: str
    bound: float
    direction: Literal["at_least", "at_most"]

    def met_by(self, value: float) -> bool:
        """Whether a value reaches it."""
        return value >= self.bound if self.direction == "at_least" else value <= self.bound

    def __str__(self) -> str:
        sign = "≥" if self.direction == "at_least" else "≤"
        return f"{sign} {self.bound:g}"


TARGETS = (
    Target("throughput", "factor", 15, "at_least"),
    Target("throughput", "factor_without_results", 2, "at_least"),
    Target("throughput", "embedded_factor", 15, "at_least"),
    Target("throughput", "embedded_factor_without_results", 2, "at_least"),
    Target("latency", "p95_ms", 50, "at_most"),
    Target("latency", "embedded_p95_ms", 50, "at_most"),
    Target("limited-dispatch", "rate_error_5s_percent", 2, "at_most"),
    Target("limited-dispatch", "rate_error_1s_percent", 10, "at_most"),
    Target("limited-dispatch", "over_admitted", 1, "at_most"),
    Target("limited-dispatch", "others_p95_growth", 1, "at_most"),
    Target("limited-dispatch", "unlimited_max_ms", 100, "at_most"),
    Target("cache", "lookup_p95_ms", 10, "at_most"),
    Target("cache", "l1_p95_ms", 1, "at_most"),
    Target("cache", "l2_p95_ms", 1, "at_most"),
    Target("compress", "saved_percent", 30, "at_least"),
    Target("compress", "protected_kept_percent", 100, "at_least"),
    Target("compress", "ms_per_1000_tokens", 2, "at_most"),
    Target("gateway", "overhead_task_p95_ms", 5, "at_most"),
    Target("gateway", "overhead_http_p95_ms", 5, "at_most"),
    Target("routing", "apgr", 0.62, "at_least"),
    Target("routing", "ms_per_decision", 1, "at_most"),
    Target("bus", "messages_per_s", 10_000, "at_least"),
    Target("priorities", "inversions", 0, "at_most"),
    Target("priorities", "embedded_inversions", 0, "at_most"),
    Target("ratelimit", "one_bucket_vs_ping", 1.4, "at_most"),
    Target("ratelimit", "three_buckets_vs_ping", 1.7, "at_most"),
    Target("ratelimit", "one_bucket_vs_fastest_peer", 1.0, "at_most"),
    Target("ratelimit", "lease_vs_ping", 50, "at_least"),
    Target("ratelimit", "lease_us", 1.0, "at_most"),
    Target("ratelimit", "ours_error_units", 1, "at_most"),
    Target("churn", "bytes_per_live_row_growth", 1.5, "at_most"),
    Target("churn", "dispatch_p95_growth", 1.5, "at_most"),
    Target("backlog", "submit_per_s", 10_000, "at_least"),
    Target("backlog", "rest_per_s", 4_000, "at_least"),
    Target("backlog", "list_ms", 300, "at_most"),
    Target("backlog", "admin_ms", 300, "at_most"),
    Target("kernels", "lyapunov_rosenstein_vs_nolds", 50, "at_least"),
    Target("kernels", "lyapunov_rosenstein_5000_vs_nolds", 300, "at_least"),
    Target("kernels", "correlation_dimension_vs_nolds", 30, "at_least"),
    Target("kernels", "recurrence_vs_neurokit2", 50, "at_least"),
    Target("kernels", "analyze_fast_ms", 2, "at_most"),
    Target("kernels", "analyze_normal_ms", 15, "at_most"),
    Target("kernels", "dtw_distance_128_5_vs_dtaidistance", 2.5, "at_least"),
    Target("kernels", "dtw_distance_128_10_vs_dtaidistance", 2.5, "at_least"),
    Target("kernels", "dtw_distance_vs_dtaidistance", 2.5, "at_least"),
    Target("kernels", "dtw_distance_512_10_vs_dtaidistance", 2.5, "at_least"),
    Target("kernels", "dtw_distance_128_5_vs_aeon", 1, "at_least"),
    Target("kernels", "dtw_distance_128_10_vs_aeon", 1, "at_least"),
    Target("kernels", "dtw_distance_vs_aeon", 1, "at_least"),
    Target("kernels", "dtw_distance_512_10_vs_aeon", 1, "at_least"),
    Target("kernels", "dtw_distance_256_full_vs_aeon", 1, "at_least"),
    Target("kernels", "nearest_128_10_vs_brute_force", 5, "at_least"),
    Target("kernels", "nearest_vs_brute_force", 5, "at_least"),
    Target("kernels", "nearest_256_full_vs_brute_force", 5, "at_least"),
    Target("kernels", "minirocket_features_ms", 0.1, "at_most"),
    Target("kernels", "top_k_vs_faiss_sq8", 1.5, "at_least"),
    Target("kernels", "top_k_clustered_vs_faiss_sq8", 1.5, "at_least"),
    Target("kernels", "top_k_ms", 2, "at_most"),
    Target("kernels", "top_k_clustered_ms", 2, "at_most"),
    Target("kernels", "stl_robustness_vs_rtamt", 300, "at_least"),
    Target("kernels", "stl_robustness_10000_vs_rtamt", 300, "at_least"),
    Target("kernels", "stl_until_vs_rtamt", 300, "at_least"),
    Target("kernels", "stl_monitor_us", 0.3, "at_most"),
    Target("kernels", "stl_monitor_final_us", 0.3, "at_most"),
    Target("kernels", "trees_us", 10, "at_most"),
    Target("stream", "samples_per_s", 10_000, "at_least"),
    Target("stream", "p95_ms", 80, "at_most"),
    Target("patterns", "resident_mb", 250, "at_most"),
    *(
        target
        for kind in ("clustered", "unstructured")
        for target in (
            Target("patterns", f"recall_{kind}", 0.999, "at_least"),
            Target("patterns", f"search_{kind}_ms", 2, "at_most"),
            Target("patterns", f"duplicates_found_{kind}_20", 0.99, "at_least"),
            Target("patterns", f"duplicates_found_{kind}_40", 0.99, "at_least"),
            Target("patterns", f"duplicates_false_{kind}_20", 0.001, "at_most"),
            Target("patterns", f"duplicates_false_{kind}_40", 0.001, "at_most"),
        )
    ),
)


def targets_of(scenario: str) -> dict[str, Target]:
    """A scenario's targets by figure."""
    return {target.figure: target for target in TARGETS if target.scenario == scenario}

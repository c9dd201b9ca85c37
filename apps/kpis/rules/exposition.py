"""Figures in Prometheus' text format: no run, person or word that somebody wrote is ever a label."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

BOUNDS_S: Sequence[int] = (1, 10, 60, 300, 900, 3600, 14_400, 86_400, 259_200, 604_800, 2_592_000)
"""Upper ends of the histogram's buckets, each included: from what machines do to what waits for people."""
MICRO = 1_000_000
STATUSES = ("succeeded", "failed", "cancelled")

type RunCounts = dict[tuple[str, str], int]
"""Runs by workflow and status."""
type Durations = dict[str, tuple[list[int], int]]
"""By workflow: how many runs fell into each bucket, the last of them beyond every bound; their sum in milliseconds."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What ended within some time: runs, how long those that succeeded took, and costs in micro-units by kind."""

    runs: RunCounts = field(default_factory=dict)
    durations: Durations = field(default_factory=dict)
    cost_micro: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: "Ended") -> "Ended":
        """Both together."""
        durations = dict(self.durations)
        for workflow, (counts, total_ms) in other.durations.items():
            known, known_ms = durations.get(workflow, ([0] * len(counts), 0))
            durations[workflow] = ([a + b for a, b in zip(known, counts, strict=True)], known_ms + total_ms)
        return Ended(_added(self.runs, other.runs), durations, _added(self.cost_micro, other.cost_micro))


def _added[K](one: Mapping[K, int], other: Mapping[K, int]) -> dict[K, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in one.keys() | other.keys()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What stands at this moment."""

    backlog: Mapping[str, int]
    approvals_pending: int
    approval_oldest_s: float
    sla_breached_open: int
    rollup_lag_s: float
    outbox_rows: int
    spans_rejected: int
    tokens_unpriced: int


def exposition(ended: Ended, standing: Standing, *, currency: str) -> bytes:
    """The page that Prometheus reads; costs in whole units of ``currency``."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Ready([*_ended(ended, currency), *_standing(standing)]))
    return generate_latest(registry)


class _Ready:
    """What a registry collects from: figures that were counted before."""

    def __init__(self, metrics: list[Metric]) -> None:
        self.metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """All of them."""
        return self.metrics


def _ended(ended: Ended, currency: str) -> Iterable[Metric]:
    runs = CounterMetricFamily("acp_runs_finished", "Runs that ended.", labels=["workflow", "status"])
    for (workflow, status), count in sorted(ended.runs.items()):
        runs.add_metric([workflow, status], count)
    yield runs
    took = HistogramMetricFamily(
        "acp_run_duration_seconds", "From first start to end, of runs that succeeded.", labels=["workflow"]
    )
    for workflow, (counts, total_ms) in sorted(ended.durations.items()):
        took.add_metric([workflow], _buckets(counts), total_ms / 1000)
    yield took
    # Prices may be corrected downwards, which a counter cannot say: its readers would take it for a restart.
    cost = GaugeMetricFamily("acp_cost_total", f"What was spent, in {currency}.", labels=["kind"])
    for kind, micro in sorted(ended.cost_micro.items()):
        cost.add_metric([kind], micro / MICRO)
    yield cost


def _buckets(counts: Sequence[int]) -> list[tuple[str, float]]:
    """Cumulative, as the format wants them."""
    found, so_far = [], 0
    for bound, count in zip([*(str(float(one)) for one in BOUNDS_S), "+Inf"], counts, strict=True):
        so_far += count
        found.append((bound, float(so_far)))
    return found


def _standing(standing: Standing) -> Iterable[Metric]:
    backlog = GaugeMetricFamily("acp_backlog", "Runs that have not ended.", labels=["workflow"])
    for workflow, count in sorted(standing.backlog.items()):
        backlog.add_metric([workflow], count)
    yield backlog
    for name, says, value in (
        ("acp_approvals_pending", "Items that wait for people.", standing.approvals_pending),
        ("acp_approval_oldest_seconds", "For how long the oldest of them has waited; 0 without any.",
         standing.approval_oldest_s),
        ("acp_sla_breached_open", "Open runs beyond their SLA, pauses left out.", standing.sla_breached_open),
        ("acp_rollup_lag_seconds", "Since figures were last folded from the ledger.", standing.rollup_lag_s),
        ("acp_outbox_rows", "Reactions to entries of the ledger that are still to follow.", standing.outbox_rows),
        ("acp_tokens_unpriced_total", "Tokens of models that have no price.", standing.tokens_unpriced),
    ):  # fmt: skip
        yield GaugeMetricFamily(name, says, value=value)
    yield CounterMetricFamily("acp_spans_rejected", "Spans of agents, not kept.", value=standing.spans_rejected)

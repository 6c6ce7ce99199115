"""What is wrong with a metric: its instrument, its unit, its points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import AggregationTemporality, Gauge, Histogram, Sum
from span_table import ATTRIBUTION
from value_checks import attribution_faults, must_be_there, scope_faults, value_faults

if TYPE_CHECKING:
    from metric_table import MetricType
    from opentelemetry.sdk.metrics.export import Metric
    from terms import Terms


def metric_faults(scope: Any, metric: Metric, allowed: Mapping[str, MetricType], terms: Terms) -> Iterator[str]:
    yield from scope_faults(scope)
    row = allowed.get(metric.name)
    if row is None:
        yield "is not in the table, or not switched on"
        return
    if metric.unit != row.unit:
        yield f"unit {metric.unit!r} instead of {row.unit!r}"
    if not metric.description:
        yield "has no description"
    yield from _instrument(metric, row)
    for point in metric.data.data_points:
        yield from _point(point, row, terms)


def _instrument(metric: Metric, row: MetricType) -> Iterator[str]:
    data = metric.data
    expected = {"counter": Sum, "histogram": Histogram, "gauge": Gauge}[row.instrument]
    if type(data) is not expected:
        yield f"is a {type(data).__name__}, not a {row.instrument}"
        return
    if not isinstance(data, Gauge) and data.aggregation_temporality is not AggregationTemporality.CUMULATIVE:
        yield "is not cumulative"
    if isinstance(data, Sum) and not data.is_monotonic:
        yield "can fall"


def _point(point: Any, row: MetricType, terms: Terms) -> Iterator[str]:
    attributes = dict(point.attributes or {})
    provider = attributes.get("gen_ai.provider.name")
    for name, rule in row.attributes.items():
        if name not in attributes and must_be_there(rule, attributes, failed=True):
            yield f"{name} is missing ({rule.level})"
    for name, value in attributes.items():
        rule = row.attributes.get(name)
        if rule is not None:
            yield from value_faults(name, value, rule, provider)
        elif not name.startswith(ATTRIBUTION):
            yield f"the attribute {name} is not in the table"
    allowed = {key: value for key, value in terms.attribution.items() if key in terms.metric_attribution}
    expected = allowed if _is_attributed(row) else {}
    yield from attribution_faults(attributes, expected, frozenset(allowed))
    if hasattr(point, "bucket_counts"):
        if tuple(point.explicit_bounds) != row.buckets:
            yield f"buckets {tuple(point.explicit_bounds)}"
        value = point.sum
    else:
        value = point.value
    if type(value) is not {"int": int, "double": float}[row.number]:
        yield f"a number that is no {row.number}: {value!r}"
    elif value < 0:
        yield f"a negative number: {value!r}"


def _is_attributed(row: MetricType) -> bool:
    """Metrics of calls carry attribution; those of our own health, of prices and of look-ups by themselves do not."""
    return any(name.startswith("gen_ai.") for name in row.attributes)

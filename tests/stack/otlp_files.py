"""Reads what the Collector's file exporter wrote: OTLP as JSON, one export request a line."""

import json
from collections import defaultdict
from decimal import Decimal
from typing import Any, NamedTuple

_SCALARS = {"stringValue": str, "intValue": int, "doubleValue": float, "boolValue": bool}


class Span(NamedTuple):
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    scope: str
    attributes: dict[str, Any]
    resource: dict[str, Any]


class Point(NamedTuple):
    """The last point of one cumulative series."""

    metric: str
    attributes: dict[str, Any]
    value: Decimal
    resource: dict[str, Any]


def _requests(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _value(value):
    ((kind, content),) = value.items()
    if kind == "arrayValue":
        return tuple(_value(item) for item in content.get("values", ()))
    return _SCALARS[kind](content)


def _attributes(holder):
    return {item["key"]: _value(item["value"]) for item in holder.get("attributes", ())}


def spans(path):
    return [
        Span(
            span["name"],
            span["traceId"],
            span["spanId"],
            span.get("parentSpanId", ""),
            scope["scope"]["name"],
            _attributes(span),
            _attributes(resource["resource"]),
        )
        for request in _requests(path)
        for resource in request["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def _sums(path):
    for request in _requests(path):
        for resource in request["resourceMetrics"]:
            identity = _attributes(resource["resource"])
            for scope in resource["scopeMetrics"]:
                for metric in scope["metrics"]:
                    if "sum" in metric:
                        yield identity, scope["scope"]["name"], metric


def counters(path):
    """The last point of every cumulative, monotonic series, whatever the number of exports."""
    last = defaultdict(lambda: (-1, None))
    for resource, scope, metric in _sums(path):
        assert metric["sum"]["isMonotonic"], metric["name"]
        assert metric["sum"]["aggregationTemporality"] == 2, f"{metric['name']} is not cumulative"
        for point in metric["sum"]["dataPoints"]:
            attributes = _attributes(point)
            series = (scope, metric["name"], frozenset(resource.items()), frozenset(attributes.items()))
            value = Decimal(point["asInt"]) if "asInt" in point else Decimal(repr(point["asDouble"]))
            moment = int(point["timeUnixNano"])
            if moment >= last[series][0]:
                last[series] = (moment, Point(metric["name"], attributes, value, resource))
    return [point for _, point in last.values()]

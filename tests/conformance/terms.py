"""What a scenario says about itself, and what came out of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.metrics.export import Metric
    from opentelemetry.sdk.trace import ReadableSpan

ON_SPANS = ("span", "span_and_event")
ON_EVENTS = ("event", "span_and_event")
"""Modes of content capture."""


class Terms(NamedTuple):
    """What a scenario says about itself, which no span can tell."""

    given: Mapping[str, frozenset[str]] = {}
    """By operation: the attributes of level `asked` that every such span must have."""
    some: Mapping[str, frozenset[str]] = {}
    """By operation: those that only some of these spans have."""
    switches: frozenset[str] = frozenset()
    """Settings that are on."""
    content: str = "off"
    attribution: Mapping[str, str] = {}
    """What every span must say about attribution."""
    metric_attribution: frozenset[str] = frozenset()
    """The keys of it that are allowed on metrics."""


class Output(NamedTuple):
    """What came out of one run of a scenario."""

    spans: list[ReadableSpan]
    started: Mapping[int, Mapping[str, Any]]
    """Span id -> the attributes that a sampler saw."""
    metrics: list[tuple[Any, Metric]]
    """With the scope that each belongs to."""
    logs: list[ReadableLogRecord]

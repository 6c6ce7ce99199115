"""Holds what came out of a scenario against the tables, and says everything that is wrong with it.

A violation is one line: what it is about, a colon, what is wrong. The same fault of several spans is said once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from log_checks import faults_of_all_logs, log_faults
from metric_checks import metric_faults
from metric_table import metrics
from span_checks import span_faults

if TYPE_CHECKING:
    from terms import Output, Terms


def violations(output: Output, terms: Terms) -> list[str]:
    """Every violation, each once, in a stable order."""
    found: dict[str, None] = {}
    for span in output.spans:
        for fault in span_faults(span, output.started, terms):
            found[f"span {span.name}: {fault}"] = None
    allowed = metrics(terms.switches)
    for scope, metric in output.metrics:
        for fault in metric_faults(scope, metric, allowed, terms):
            found[f"metric {metric.name}: {fault}"] = None
    for log in output.logs:
        for fault in log_faults(log, output.spans, terms):
            found[f"log {log.log_record.event_name}: {fault}"] = None
    for fault in faults_of_all_logs(output, terms):
        found[fault] = None
    return sorted(found)

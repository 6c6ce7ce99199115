"""What is wrong with a log record, and with how often something was logged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import content_shapes
from opentelemetry._logs import SeverityNumber
from opentelemetry.trace import StatusCode
from span_checks import captured
from span_table import INFERENCE, PROMPT_VARIABLE, SPANS, SpanType
from terms import ON_EVENTS, Output, Terms
from value_checks import has_type, scope_faults

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.trace import ReadableSpan

EXCEPTION_EVENT = "gen_ai.client.operation.exception"
DETAILS_EVENT = "gen_ai.client.inference.operation.details"


def log_faults(log: ReadableLogRecord, spans: list[ReadableSpan], terms: Terms) -> Iterator[str]:
    record = log.log_record
    yield from scope_faults(log.instrumentation_scope)
    span = next((span for span in spans if span.context.span_id == record.span_id), None)
    if span is None and spans:
        yield "belongs to no span"
    if record.body is not None:
        yield f"has a body: {record.body!r:.80}"
    attributes = dict(record.attributes or {})
    if record.event_name == EXCEPTION_EVENT:
        yield from _severity(record, SeverityNumber.WARN)
        yield from _exception(attributes, span)
    elif record.event_name == DETAILS_EVENT:
        yield from _severity(record, SeverityNumber.DEBUG)
        yield from _details(attributes, span, terms)
    else:
        yield "is not in the table"


def _severity(record: Any, expected: SeverityNumber) -> Iterator[str]:
    if record.severity_number is not expected:
        yield f"severity {record.severity_number}"
    if record.severity_text not in {None, expected.name}:
        yield f"severity text {record.severity_text!r}"


def _exception(attributes: Mapping[str, Any], span: ReadableSpan | None) -> Iterator[str]:
    for name in attributes.keys() - {"exception.type", "exception.stacktrace"}:
        yield f"the attribute {name} is not in the table or not asked for"
    if not has_type(attributes.get("exception.type"), "string"):
        yield "no exception.type"
    if span is not None and (span.attributes or {}).get("error.type") != attributes.get("exception.type"):
        yield f"exception.type {attributes.get('exception.type')!r} on a span with another error.type"


def _details(attributes: Mapping[str, Any], span: ReadableSpan | None, terms: Terms) -> Iterator[str]:
    if terms.content not in ON_EVENTS:
        yield "content without being asked for it"
    row = SPANS.get(str(attributes.get("gen_ai.operation.name")))
    if row is None or attributes["gen_ai.operation.name"] not in INFERENCE:
        yield f"an event of the operation {attributes.get('gen_ai.operation.name')!r}"
        return
    plain = {}
    for name, value in attributes.items():
        rule = row.attributes.get(name)
        if rule is not None and rule.level == "content":
            for fault in content_shapes.violations(name, value):
                yield f"{name}: {fault}"
        elif not name.startswith(PROMPT_VARIABLE):
            plain[name] = value
    for name in captured("chat", failed="error.type" in attributes):
        if name not in attributes:
            yield f"{name} is missing"
    if span is not None:
        of_span = {name: value for name, value in (span.attributes or {}).items() if _is_plain(name, row)}
        for name in sorted(of_span.keys() ^ plain.keys()):
            yield f"{name} is on one of span and event only"


def _is_plain(name: str, row: SpanType) -> bool:
    rule = row.attributes.get(name)
    return not name.startswith(PROMPT_VARIABLE) and (rule is None or rule.level != "content")


def faults_of_all_logs(output: Output, terms: Terms) -> Iterator[str]:
    """Each exception once, at the innermost span that it ended; each model call's details once."""
    logged = [log.log_record.span_id for log in output.logs if log.log_record.event_name == EXCEPTION_EVENT]
    if not output.spans:
        return
    failed = {span.context.span_id: span for span in output.spans if span.status.status_code is StatusCode.ERROR}
    passed_on = {
        span.parent.span_id
        for span in failed.values()
        if span.parent is not None
        and span.parent.span_id in failed
        # An agent that fails because one of its calls did, fails with the same exception.
        and _error(failed[span.parent.span_id]) == _error(span)
    }
    for span_id, span in failed.items():
        expected = 0 if span_id in passed_on else 1
        if logged.count(span_id) != expected:
            yield f"log {EXCEPTION_EVENT}: {logged.count(span_id)} records for a failed {span.name}, not {expected}"
    details = [log.log_record.span_id for log in output.logs if log.log_record.event_name == DETAILS_EVENT]
    expected = 1 if terms.content in ON_EVENTS else 0
    for span in output.spans:
        count = details.count(span.context.span_id)
        if (span.attributes or {}).get("gen_ai.operation.name") in INFERENCE and count != expected:
            yield f"log {DETAILS_EVENT}: {count} records for a {span.name}, not {expected}"


def _error(span: ReadableSpan) -> object:
    return (span.attributes or {}).get("error.type")

"""What is wrong with a span: against its row of the table, and within itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import StatusCode
from span_table import (
    ATTRIBUTION,
    INFERENCE,
    NO_NAMES_OF_WORKFLOWS,
    OPERATIONS_WITH_PRICES,
    PROMPT_VARIABLE,
    SPANS,
    Attribute,
    SpanType,
)
from terms import ON_SPANS, Terms
from value_checks import attribution_faults, must_be_there, scope_faults, value_faults

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

# By operation: the content of what goes in, and of what comes out where the operation succeeds.
_INPUT = {
    "chat": "gen_ai.input.messages",
    "text_completion": "gen_ai.input.messages",
    "retrieval": "gen_ai.retrieval.query.text",
    "execute_tool": "gen_ai.tool.call.arguments",
    "invoke_agent": "gen_ai.input.messages",
    "invoke_workflow": "gen_ai.input.messages",
}
_RESULT = {
    "chat": "gen_ai.output.messages",
    "text_completion": "gen_ai.output.messages",
    "retrieval": "gen_ai.retrieval.documents",
    "execute_tool": "gen_ai.tool.call.result",
    "invoke_agent": "gen_ai.output.messages",
    "invoke_workflow": "gen_ai.output.messages",
}


def span_faults(span: ReadableSpan, started: Mapping[int, Mapping[str, Any]], terms: Terms) -> Iterator[str]:
    attributes = dict(span.attributes or {})
    yield from scope_faults(span.instrumentation_scope)
    operation = attributes.get("gen_ai.operation.name")
    row = SPANS.get(str(operation))
    if row is None:
        yield f"the operation {operation!r} is not in the table"
        return
    if span.kind is not row.kind:
        yield f"kind {span.kind.name} instead of {row.kind.name}"
    if span.events:
        yield f"span events {[event.name for event in span.events]}: exceptions belong into the log"
    yield from _name(span.name, str(operation), row, attributes)
    yield from _status(span, attributes)
    yield from _attributes(attributes, str(operation), row, terms, failed=span.status.status_code is StatusCode.ERROR)
    yield from attribution_faults(attributes, terms.attribution, frozenset(terms.attribution))
    yield from _at_start(attributes, row, started.get(span.context.span_id))
    if operation in OPERATIONS_WITH_PRICES:
        yield from _cost_rules(attributes)
        yield from _usage_rules(attributes)


def _name(name: str, operation: str, row: SpanType, attributes: Mapping[str, Any]) -> Iterator[str]:
    key = attributes.get(row.keyed) if row.keyed else None
    expected = operation if key is None else f"{operation} {key}"
    if name != expected:
        yield f"the name should be {expected!r}"
    if row.keyed == "gen_ai.workflow.name" and key in NO_NAMES_OF_WORKFLOWS:
        yield f"{key!r} is a type or a constant, which no application chose as a name"


def _status(span: ReadableSpan, attributes: Mapping[str, Any]) -> Iterator[str]:
    status = span.status.status_code
    if status is StatusCode.OK:
        yield "status Ok, which only the application may set"
    if (status is StatusCode.ERROR) != ("error.type" in attributes):
        yield f"status {status.name} with error.type {attributes.get('error.type')!r}"
    if span.status.description is not None:
        yield "a description of the status, although messages of exceptions are off"


def _attributes(
    attributes: Mapping[str, Any], operation: str, row: SpanType, terms: Terms, *, failed: bool
) -> Iterator[str]:
    given, some = terms.given.get(operation, frozenset()), terms.some.get(operation, frozenset())
    for name in sorted(given - row.attributes.keys()):
        yield f"the scenario gives {name}, which the table does not know"
    for name, rule in row.attributes.items():
        present = name in attributes
        if rule.level == "asked" and name not in some and present != (name in given):
            yield f"{name} is there, but nothing gave it" if present else f"{name} was given, but is missing"
        elif not present and must_be_there(rule, attributes, failed=failed):
            yield f"{name} is missing ({rule.level})"
        elif present and rule.level == "content" and terms.content not in ON_SPANS:
            yield f"content without being asked for it: {name}"
    for name in captured(operation, failed=failed) if terms.content in ON_SPANS else ():
        if name not in attributes and name not in some:
            yield f"{name} is missing, although content is captured"
    for name, value in attributes.items():
        rule = row.attributes.get(name)
        if rule is not None:
            yield from value_faults(name, value, rule, attributes.get("gen_ai.provider.name"))
        elif name.startswith(PROMPT_VARIABLE) and operation in INFERENCE and terms.content != "off":
            yield from value_faults(name, value, Attribute("text"), None)
        elif not name.startswith(ATTRIBUTION):
            yield f"{name} is not in the table"


def captured(operation: str, *, failed: bool) -> list[str]:
    found = [_INPUT.get(operation)] if failed else [_INPUT.get(operation), _RESULT.get(operation)]
    return [name for name in found if name is not None]


def _at_start(attributes: Mapping[str, Any], row: SpanType, seen: Mapping[str, Any] | None) -> Iterator[str]:
    for name in sorted(row.at_start):
        if seen is not None and name in attributes and seen.get(name) != attributes[name]:
            yield f"a sampler did not see {name}"


def _cost_rules(attributes: Mapping[str, Any]) -> Iterator[str]:
    prefix = "langchain.usage.cost."
    status, amount = attributes.get(f"{prefix}status"), attributes.get(f"{prefix}amount")
    if (amount is None) != (status in {None, "unpriced"}):
        yield f"cost status {status!r} with the amount {amount!r}"
    for name in ("currency", "source"):
        if (prefix + name in attributes) != (amount is not None):
            yield f"{prefix}{name} goes with the amount"
    if ("langchain.usage.unpriced.reason" in attributes) != (status == "unpriced"):
        yield "langchain.usage.unpriced.reason goes with the status `unpriced`"
    if (attributes.get("langchain.cache.status") == "hit") != (status == "cached"):
        yield f"cost status {status!r} with the cache status {attributes.get('langchain.cache.status')!r}"
    if status == "cached" and amount != 0.0:
        yield f"a hit of the response cache that cost {amount!r}"
    parts = [attributes.get(prefix + part, 0.0) for part in ("input", "output", "cache_read", "cache_write")]
    if amount is not None and sum(map(_picodollars, parts)) > _picodollars(amount):
        yield "the parts of the cost are more than the whole"


def _picodollars(amount: float) -> int:
    return round(amount * 10**12)


def _usage_rules(attributes: Mapping[str, Any]) -> Iterator[str]:
    prefix = "gen_ai.usage."
    for whole, parts in (("input_tokens", ("cache_read", "cache_write")), ("output_tokens", ("reasoning",))):
        named = [f"{prefix}{part}.{whole}" for part in parts if f"{prefix}{part}.{whole}" in attributes]
        if sum(attributes[name] for name in named) > attributes.get(prefix + whole, 0):
            yield f"{named} are more than {prefix}{whole}"
    if prefix + "input_tokens" in attributes and "langchain.usage.estimated.input_tokens" in attributes:
        yield "tokens both reported and estimated"
    if "gen_ai.response.time_to_first_chunk" in attributes and "gen_ai.request.stream" not in attributes:
        yield "a first chunk without a stream"
    if attributes.get("gen_ai.request.stream") is False:
        yield "gen_ai.request.stream is never false"
    if "gen_ai.prompt.version" in attributes and "gen_ai.prompt.name" not in attributes:
        yield "the version of a prompt without its name"
    hit = attributes.get("langchain.cache.status") == "hit"
    if hit and any(attributes.get(prefix + name, 0) for name in ("input_tokens", "output_tokens")):
        yield "a hit of the response cache that spent tokens"

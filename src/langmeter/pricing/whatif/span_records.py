"""Records from the spans of model calls: SDK spans, their JSON, and OTLP/JSON. Nothing is written back to a span."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from langmeter import semconv
from langmeter.events import TokenUsage
from langmeter.pricing.whatif.record_keys import Keys, RecordError, RecordProblem
from langmeter.pricing.whatif.records import Record, checked_status, fits

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_NANOSECONDS: Final = 10**9
_MODEL_CALLS: Final = frozenset({semconv.CHAT, semconv.TEXT_COMPLETION, semconv.EMBEDDINGS})
_PARTS: Final = (
    semconv.USAGE_CACHE_READ,
    semconv.USAGE_CACHE_WRITE,
    semconv.USAGE_CACHE_WRITE_1H,
    semconv.USAGE_REASONING,
    semconv.USAGE_INPUT_TEXT,
    semconv.USAGE_INPUT_IMAGE,
    semconv.USAGE_INPUT_AUDIO,
    semconv.USAGE_OUTPUT_TEXT,
    semconv.USAGE_OUTPUT_IMAGE,
    semconv.USAGE_OUTPUT_AUDIO,
)
"""Attributes in the order of the fields of `TokenUsage` after input and output."""


def single_record(span: ReadableSpan | Mapping[str, Any]) -> Record:
    """`Record.from_span`."""
    record = span_record(span, "span")
    if record is None:
        reason = (
            f"is no span of a billed model call: it has neither {semconv.COST_STATUS} nor {semconv.USAGE_INPUT_TOKENS}; "
            "give it to `read`, which passes over such spans"
        )
        raise RecordError([RecordProblem("span", None, reason)])
    return record


def span_record(span: ReadableSpan | Mapping[str, Any], where: str) -> Record | None:
    """The record of a span; None when it is no model call's, or when nothing was to be billed.

    Raises:
        RecordError: the span is a model call's and lacks what a record needs, or it is no span at all.
    """
    try:
        return _record(span, where)
    except RecordError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"is no span as the SDK or OTLP/JSON write it ({type(error).__name__}: {error})"
        raise RecordError([RecordProblem(where, None, reason)]) from None


def _record(span: ReadableSpan | Mapping[str, Any], where: str) -> Record | None:
    attributes = _attributes(span)
    operation = attributes.get(semconv.OPERATION_NAME)
    counted = operation in _MODEL_CALLS and semconv.USAGE_INPUT_TOKENS in attributes
    if not counted and semconv.COST_STATUS not in attributes:
        return None
    keys = Keys(attributes, where)
    requested = keys.text(semconv.REQUEST_MODEL)
    answered = keys.text(semconv.RESPONSE_MODEL)
    if requested is None and answered is None:
        keys.refuse(
            semconv.REQUEST_MODEL, f"is missing, and so is {semconv.RESPONSE_MODEL}; one of them names the model"
        )
    cost = keys.amount(semconv.COST_AMOUNT)
    usage, estimated = _usage(keys)
    return Record(
        keys.name(semconv.PROVIDER_NAME),
        answered or requested or "",
        usage,
        _start_time(span, where),
        keys.text(semconv.PRICE_TIER),
        cost,
        checked_status(keys, semconv.COST_STATUS, semconv.COST_AMOUNT, cost),
        keys.text(semconv.PRICE_VERSION),
        requested if answered and requested != answered else None,
        estimated=estimated,
        embeddings=operation == semconv.EMBEDDINGS,
    )


def spans_in(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The spans of an OTLP/JSON document, such as a line of the Collector's file exporter."""
    for resource in document.get("resourceSpans") or ():
        for scope in resource.get("scopeSpans") or ():
            yield from scope.get("spans") or ()


def _usage(keys: Keys) -> tuple[TokenUsage | None, bool]:
    """What was reported and estimated together, and whether any of it is an estimate."""
    billed, output = keys.count(semconv.USAGE_INPUT_TOKENS), keys.count(semconv.USAGE_OUTPUT_TOKENS)
    guessed_input = keys.count(semconv.ESTIMATED_INPUT_TOKENS)
    guessed_output = keys.count(semconv.ESTIMATED_OUTPUT_TOKENS)
    estimated = guessed_input is not None or guessed_output is not None
    if estimated:  # what was reported, if anything, is not in the estimate
        billed = guessed_input if billed is None else billed
        output = (output or 0) + (guessed_output or 0)
    if output is None and keys.text(semconv.OPERATION_NAME) == semconv.EMBEDDINGS:
        output = 0
    if billed is None or output is None:
        return None, False
    tokens = TokenUsage._make((billed, output, *(keys.count(name) for name in _PARTS), True))
    return (tokens if fits(tokens) else tokens._replace(consistent=False)), estimated


def _attributes(span: ReadableSpan | Mapping[str, Any]) -> Mapping[str, Any]:
    attributes = span.get("attributes") if isinstance(span, Mapping) else span.attributes
    if isinstance(attributes, Mapping):
        return attributes
    # OTLP/JSON: a list of {key, value: {stringValue: …}}.
    return {pair["key"]: _value(pair["value"]) for pair in attributes or () if "key" in pair and "value" in pair}


def _value(value: Mapping[str, Any]) -> object:
    """An attribute's value in OTLP/JSON, which writes whole numbers as texts."""
    if "intValue" in value:
        return int(value["intValue"])
    return next(iter(value.values()), None)


def _start_time(span: ReadableSpan | Mapping[str, Any], where: str) -> float:
    """Unix seconds."""
    nanoseconds = span.get("startTimeUnixNano") if isinstance(span, Mapping) else span.start_time
    if nanoseconds is not None:
        return int(nanoseconds) / _NANOSECONDS
    return Keys(span if isinstance(span, Mapping) else {}, where).seconds("start_time")

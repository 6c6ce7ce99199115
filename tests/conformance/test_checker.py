"""The checker itself: fed with what must not be, it says so; and its tables and the package's names are the same ones."""

from __future__ import annotations

from typing import Any

import accounts
import content_shapes
import pytest
from all_scenarios import SCENARIOS
from checker import violations
from documented_exceptions import DEVIATIONS, undocumented
from metric_table import LEGACY, METRICS
from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.trace import SpanKind, Status, StatusCode
from shaped_servers import Billed
from span_table import ATTRIBUTION, PROMPT_VARIABLE, SPANS
from terms import Output, Terms

import langmeter
from langmeter import semconv

CHAT: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "server.address": "127.0.0.1",
    "server.port": 8000,
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.usage.input_tokens": 20,
    "gen_ai.usage.output_tokens": 12,
    "langchain.usage.cost.status": "priced",
    "langchain.usage.cost.amount": 0.5,
    "langchain.usage.cost.currency": "USD",
    "langchain.usage.cost.source": "local",
    "langchain.price.match": "exact",
}
PLAIN = Terms()
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get", "gen_ai.tool.type": "function"}
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "weather"}
WORKFLOW = {"gen_ai.operation.name": "invoke_workflow"}


def tracer(telemetry, scope="langmeter", schema_url=None):
    return telemetry.tracer_provider.get_tracer(scope, langmeter.__version__, schema_url)


def spans_of(telemetry, name, kind, attributes, status=None, **instrumentation):
    """One span that ended, as the package would have made it."""
    span = tracer(telemetry, **instrumentation).start_span(name, kind=kind, attributes=attributes)
    if status is not None:
        span.set_status(status)
    span.end()
    return telemetry.spans()


def faults(telemetry, attributes, name="chat gpt-4o", kind=SpanKind.CLIENT, terms=PLAIN, **more):
    return violations(Output(spans_of(telemetry, name, kind, attributes, **more), {}, [], []), terms)


def changed(attributes, **changes):
    """`__` stands for a dot; None takes an attribute away."""
    found = {**attributes, **{name.replace("__", "."): value for name, value in changes.items()}}
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize(
    ("name", "kind", "attributes", "given"),
    [
        ("chat gpt-4o", SpanKind.CLIENT, CHAT, {}),
        ("execute_tool get", SpanKind.INTERNAL, TOOL, {}),
        ("invoke_agent weather", SpanKind.INTERNAL, AGENT, {"invoke_agent": frozenset({"gen_ai.agent.name"})}),
        ("invoke_workflow", SpanKind.INTERNAL, WORKFLOW, {}),
    ],
)
def test_a_span_as_it_should_be_passes(telemetry, name, kind, attributes, given):
    assert faults(telemetry, attributes, name, kind, Terms(given)) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"server__address": None, "server__port": None}, "server.address is missing (expected)"),
        ({"server__port": None}, "server.port is missing (located)"),
        ({"gen_ai__provider__name": None}, "gen_ai.provider.name is missing (required)"),
        ({"gen_ai__response__id": None}, "gen_ai.response.id is missing (expected)"),
        ({"gen_ai__response__finish_reasons": ()}, "gen_ai.response.finish_reasons is no string[]: ()"),
        (
            {"gen_ai__response__finish_reasons": ("STOP",)},
            "gen_ai.response.finish_reasons has a value that is not in its list: 'STOP'",
        ),
        ({"gen_ai__usage__input_tokens": 20.0}, "gen_ai.usage.input_tokens is no int: 20.0"),
        ({"gen_ai__usage__input_tokens": True}, "gen_ai.usage.input_tokens is no int: True"),
        ({"gen_ai__request__temperature": 1}, "gen_ai.request.temperature is no double: 1"),
        ({"gen_ai__response__id": ""}, "gen_ai.response.id is no string: ''"),
        ({"gen_ai__request__stream": False}, "gen_ai.request.stream is there, but nothing gave it"),
        ({"gen_ai__conversation__id": "made-up"}, "gen_ai.conversation.id is there, but nothing gave it"),
        ({"gen_ai__usage__cache_read__input_tokens": 21}, "are more than gen_ai.usage.input_tokens"),
        ({"gen_ai__usage__reasoning__output_tokens": 13}, "are more than gen_ai.usage.output_tokens"),
        ({"langchain__usage__estimated__input_tokens": 1}, "tokens both reported and estimated"),
        ({"langchain__usage__cost__amount": None}, "cost status 'priced' with the amount None"),
        ({"langchain__usage__cost__currency": None}, "langchain.usage.cost.currency goes with the amount"),
        ({"langchain__usage__cost__status": "unpriced"}, "cost status 'unpriced' with the amount 0.5"),
        ({"langchain__usage__cost__status": "free"}, "langchain.usage.cost.status has a value"),
        ({"langchain__usage__cost__input": 0.6}, "the parts of the cost are more than the whole"),
        ({"langchain__cache__status": "hit"}, "a hit of the response cache that spent tokens"),
        ({"langchain__cache__status": "hit"}, "cost status 'priced' with the cache status 'hit'"),
        ({"gen_ai__agent__id": "agent-1"}, "gen_ai.agent.id is not in the table"),
        ({"gen_ai__system": "openai"}, "gen_ai.system is not in the table"),
        ({"langchain__something": "new"}, "langchain.something is not in the table"),
        ({"langchain__attribution__tenant": "acme"}, "langchain.attribution.tenant was not asked for"),
        ({"gen_ai__input__messages": "[]"}, "content without being asked for it: gen_ai.input.messages"),
        ({"gen_ai__operation__name": "complete"}, "the operation 'complete' is not in the table"),
        ({"gen_ai__request__model": None}, "the name should be 'chat'"),
        ({"gen_ai__provider__name": "groq", "openai__api__type": "responses"}, "openai.api.type next to the provider"),
        ({"error__type": "ValueError"}, "status UNSET with error.type 'ValueError'"),
    ],
)
def test_a_model_call_that_is_not_as_it_should_be(telemetry, changes, expected):
    assert [fault for fault in faults(telemetry, changed(CHAT, **changes)) if expected in fault]


@pytest.mark.parametrize(
    ("name", "kind", "attributes", "expected"),
    [
        ("chat gpt-4o", SpanKind.INTERNAL, CHAT, "kind INTERNAL instead of CLIENT"),
        ("ChatOpenAI", SpanKind.CLIENT, CHAT, "the name should be 'chat gpt-4o'"),
        ("execute_tool", SpanKind.INTERNAL, changed(TOOL, gen_ai__tool__name=None), "gen_ai.tool.name is missing"),
        (
            "execute_tool get",
            SpanKind.INTERNAL,
            changed(TOOL, gen_ai__provider__name="openai"),
            "gen_ai.provider.name is not in the table",
        ),
        (
            "invoke_agent weather",
            SpanKind.INTERNAL,
            changed(AGENT, gen_ai__usage__cache_read__input_tokens=1),
            "gen_ai.usage.cache_read.input_tokens is not in the table",
        ),
        (
            "invoke_agent weather",
            SpanKind.INTERNAL,
            changed(AGENT, langchain__usage__cost__amount=0.5),
            "langchain.usage.cost.amount is not in the table",
        ),
        (
            "invoke_workflow LangGraph",
            SpanKind.INTERNAL,
            changed(WORKFLOW, gen_ai__workflow__name="LangGraph"),
            "'LangGraph' is a type or a constant",
        ),
    ],
)
def test_a_span_that_is_not_as_it_should_be(telemetry, name, kind, attributes, expected):
    assert [fault for fault in faults(telemetry, attributes, name, kind) if expected in fault]


def test_a_status_is_unset_or_an_error_with_its_type(telemetry, make_telemetry):
    assert any("status Ok" in fault for fault in faults(telemetry, CHAT, status=Status(StatusCode.OK)))
    status = Status(StatusCode.ERROR, "the prompt was: secret")
    found = faults(make_telemetry(), changed(CHAT, error__type="the prompt"), status=status)
    assert any("a description of the status" in fault for fault in found)
    assert any("error.type is no name of a class" in fault for fault in found)


def test_a_failure_is_logged_and_not_recorded_on_the_span(telemetry):
    span = tracer(telemetry).start_span("chat gpt-4o", kind=SpanKind.CLIENT, attributes=CHAT)
    span.record_exception(ValueError())
    span.set_status(Status(StatusCode.ERROR))
    span.set_attribute("error.type", "ValueError")
    span.end()
    found = violations(Output(telemetry.spans(), {}, [], []), Terms())
    assert any("span events ['exception']" in fault for fault in found)
    assert "log gen_ai.client.operation.exception: 0 records for a failed chat gpt-4o, not 1" in found


def test_a_scope_is_ours_without_a_schema(telemetry, make_telemetry):
    url = "https://opentelemetry.io/schemas/1.43.0"
    assert any("a schema URL" in fault for fault in faults(telemetry, CHAT, schema_url=url))
    assert any("scope" in fault for fault in faults(make_telemetry(), CHAT, scope="langchain"))


def test_a_sampler_sees_what_it_needs(telemetry):
    spans = spans_of(telemetry, "chat gpt-4o", SpanKind.CLIENT, CHAT)
    seen = {spans[0].context.span_id: changed(CHAT, server__address=None)}
    assert violations(Output(spans, seen, [], []), Terms()) == [
        "span chat gpt-4o: a sampler did not see server.address"
    ]


def test_what_was_given_must_be_there(telemetry):
    given = {"chat": frozenset({"gen_ai.request.seed"})}
    terms = Terms(given, attribution={"tenant": "acme"}, content="span_and_event")
    assert faults(telemetry, CHAT, terms=terms) == [
        "log gen_ai.client.inference.operation.details: 0 records for a chat gpt-4o, not 1",
        "span chat gpt-4o: gen_ai.input.messages is missing, although content is captured",
        "span chat gpt-4o: gen_ai.output.messages is missing, although content is captured",
        "span chat gpt-4o: gen_ai.request.seed was given, but is missing",
        "span chat gpt-4o: langchain.attribution.tenant should be 'acme'",
    ]


def metric_faults(telemetry, make, terms=PLAIN):
    make(telemetry.meter_provider.get_meter("langmeter", langmeter.__version__))
    data = telemetry._reader.get_metrics_data()
    metrics = [(s.scope, metric) for r in data.resource_metrics for s in r.scope_metrics for metric in s.metrics]
    return violations(Output([], {}, metrics, []), terms)


M = {name: CHAT[name] for name in ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model")}
DURATION = "gen_ai.client.inference.duration"
INPUT = "gen_ai.client.inference.usage.input_tokens"


def a_histogram(name=DURATION, unit="s", buckets=METRICS[DURATION].buckets, value=0.5, attributes=M):
    def make(meter):
        meter.create_histogram(name, unit, "What it is.", explicit_bucket_boundaries_advisory=buckets).record(
            value, attributes
        )

    return make


def a_counter(name=INPUT, unit="{token}", value=5, attributes=M | {"gen_ai.token.modality": "unknown"}, falls=False):
    def make(meter):
        create = meter.create_up_down_counter if falls else meter.create_counter
        create(name, unit, "What it is.").add(value, attributes)

    return make


@pytest.mark.parametrize("make", [a_histogram(), a_counter()])
def test_a_metric_as_it_should_be_passes(telemetry, make):
    assert metric_faults(telemetry, make) == []


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (a_histogram(name="gen_ai.client.token.usage"), "is not in the table, or not switched on"),
        (a_histogram(name="gen_ai.server.request.duration"), "is not in the table, or not switched on"),
        (a_histogram(name="langchain.operation.cost"), "is not in the table, or not switched on"),
        (a_histogram(unit="ms"), "unit 'ms' instead of 's'"),
        (a_histogram(buckets=(1, 2)), "buckets (1, 2)"),
        (a_histogram(value=1), "a number that is no double: 1"),
        (a_histogram(attributes={}), "gen_ai.provider.name is missing (required)"),
        (a_histogram(attributes=M | {"gen_ai.operation.name": "retrieval"}), "has a value that is not in its list"),
        (a_histogram(attributes=M | {"user.id": "u"}), "the attribute user.id is not in the table"),
        (a_histogram(attributes=M | {"gen_ai.conversation.id": "c"}), "gen_ai.conversation.id is not in the table"),
        (a_histogram(attributes=M | {"server.address": "h"}), "server.port is missing (located)"),
        (a_histogram(attributes=M | {"langchain.attribution.user": "u"}), "was not asked for"),
        (a_histogram(name=INPUT, unit="{token}"), "is a Histogram, not a counter"),
        (a_counter(attributes=M), "gen_ai.token.modality is missing (required)"),
        (a_counter(value=5.0), "a number that is no int: 5.0"),
        (a_counter(falls=True), "can fall"),
        (a_counter(attributes=M | {"gen_ai.token.modality": "video"}), "has a value that is not in its list: 'video'"),
        (
            a_histogram(attributes=M | {"gen_ai.provider.name": "groq", "openai.response.service_tier": "flex"}),
            "openai.response.service_tier next to the provider 'groq'",
        ),
    ],
)
def test_a_metric_that_is_not_as_it_should_be(telemetry, make, expected):
    assert [fault for fault in metric_faults(telemetry, make) if expected in fault]


def logged(telemetry, event, attributes, severity=SeverityNumber.WARN, body=None):
    spans = spans_of(
        telemetry,
        "chat gpt-4o",
        SpanKind.CLIENT,
        changed(CHAT, error__type="ValueError"),
        status=Status(StatusCode.ERROR),
    )
    context = trace.set_span_in_context(trace.NonRecordingSpan(spans[0].context))
    telemetry.logger_provider.get_logger("langmeter", langmeter.__version__).emit(
        context=context, severity_number=severity, event_name=event, attributes=attributes, body=body
    )
    return violations(Output(spans, {}, [], telemetry.logs()), Terms())


EXCEPTION = "gen_ai.client.operation.exception"


def test_an_exception_as_it_should_be_passes(telemetry):
    assert logged(telemetry, EXCEPTION, {"exception.type": "ValueError", "exception.stacktrace": "…"}) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((EXCEPTION, {"exception.type": "KeyError"}), "on a span with another error.type"),
        ((EXCEPTION, {"exception.type": "ValueError", "exception.message": "secret"}), "exception.message is not"),
        ((EXCEPTION, {"exception.type": "ValueError"}, SeverityNumber.ERROR), "severity SeverityNumber.ERROR"),
        ((EXCEPTION, {"exception.type": "ValueError"}, SeverityNumber.WARN, "secret"), "has a body: 'secret'"),
        (("gen_ai.choice", {}), "is not in the table"),
        (("gen_ai.client.inference.operation.details", CHAT), "content without being asked for it"),
    ],
)
def test_a_log_record_that_is_not_as_it_should_be(telemetry, arguments, expected):
    assert [fault for fault in logged(telemetry, *arguments) if expected in fault]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("gen_ai.input.messages", [], "is no list of messages"),
        ("gen_ai.input.messages", [{"parts": []}], "a message without a role"),
        ("gen_ai.input.messages", [{"role": "user"}], "a message whose parts are no list"),
        ("gen_ai.input.messages", [{"role": "user", "parts": [{"content": "x"}]}], "a part without a type"),
        ("gen_ai.input.messages", [{"role": "user", "parts": [{"type": "text"}]}], "a part 'text' without content"),
        (
            "gen_ai.input.messages",
            [{"role": "tool", "parts": [{"type": "tool_call_response", "result": 1}]}],
            "without response",
        ),
        (
            "gen_ai.output.messages",
            [{"role": "assistant", "parts": [], "finish_reason": "stop"}],
            "the deprecated finish_reason",
        ),
        (
            "gen_ai.output.messages",
            [{"role": "assistant", "parts": [{"type": "tool_call", "name": "f", "arguments": "{}"}]}],
            "arguments of a tool call that are no object",
        ),
        (
            "gen_ai.input.messages",
            [{"role": "user", "parts": [{"type": "uri", "modality": "image", "uri": "data:image/png;base64,"}]}],
            "a uri part with a data: URL",
        ),
        ("gen_ai.input.messages", [{"role": "user", "parts": [{"type": "x", "y": "z" * 200_000}]}], "a text of 200000"),
        ("gen_ai.system_instructions", [{"type": "reasoning", "content": "x"}], "text parts only"),
        ("gen_ai.tool.definitions", [{"name": "f", "type": None}], "a tool without type and name"),
        ("gen_ai.retrieval.documents", [{"id": 7}], "a document whose id is no text"),
        ("gen_ai.tool.call.arguments", "Rome", "is no object"),
    ],
)
def test_content_that_is_not_in_its_shape(name, value, expected):
    assert [fault for fault in content_shapes.violations(name, value) if expected in fault]


def test_numbers_that_do_not_add_up(telemetry):
    spans = spans_of(telemetry, "chat gpt-4o", SpanKind.CLIENT, CHAT)
    a_counter(value=21)(telemetry.meter_provider.get_meter("langmeter", langmeter.__version__))
    data = telemetry._reader.get_metrics_data()
    metrics = [(s.scope, metric) for r in data.resource_metrics for s in r.scope_metrics for metric in s.metrics]
    found = accounts.discrepancies(Output(spans, {}, metrics, []), [Billed(19, 12)], langmeter.Usage())
    assert f"{INPUT}: 20 and 21" in found
    assert f"{DURATION}: 1 and 0" in found
    assert "langchain.usage.cost: 500000000000 and 0" in found
    assert "input of track(): 21 and 0" in found
    assert "input as billed: 19 and 21" in found


def test_an_exception_that_no_longer_occurs_is_a_fault():
    run = "streaming/openai/sync"
    (deviation,) = [row for row in DEVIATIONS if "streaming/*" in row.scenarios]
    occurs = deviation.violation.replace("*", "gpt-4o")
    assert undocumented(run, [occurs]) == []
    assert undocumented(run, [occurs, "something else"]) == ["something else"]
    assert undocumented(run, []) == [
        f"no longer deviates, take it off the list: {deviation.violation} ({deviation.reason})"
    ]


def test_every_exception_belongs_to_a_scenario():
    for deviation in DEVIATIONS:
        for pattern in deviation.scenarios:
            assert pattern.split("/")[0] in SCENARIOS


# -- the tables and the package spell the same names ------------------------------------------------------------------


def test_every_metric_of_the_package_is_in_the_tables():
    known = {**METRICS, **LEGACY}
    of_tables = {name: (row.instrument, row.unit, row.buckets) for name, row in known.items()}
    assert {metric.name: (metric.kind, metric.unit, metric.buckets) for metric in semconv.METRICS} == of_tables


def test_every_attribute_of_the_package_is_in_the_tables():
    spans = {name for row in SPANS.values() for name in row.attributes}
    of_metrics = {name for row in {**METRICS, **LEGACY}.values() for name in row.attributes}
    logs = {"exception.type", "exception.message", "exception.stacktrace"}
    named = {
        value
        for value in vars(semconv).values()
        if isinstance(value, str) and value.startswith(("gen_ai.", "langchain.", "openai.", "error.", "exception."))
    }
    events = {EXCEPTION, "gen_ai.client.inference.operation.details"}
    assert named - spans - of_metrics - logs - events - {ATTRIBUTION, PROMPT_VARIABLE} == set()

"""A call that several instrumentations see is reported once: official ones of provider SDKs, and the SDKs' own spans.

The official instrumentors are the real ones, around the real SDKs, against a local server. Every case is also run with
`suppress_nested` off, where they do report: so they were there to be silenced.
"""

import asyncio
import dataclasses
import json
import subprocess
import sys
import textwrap

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.instrumentation.google_genai import GoogleGenAiSdkInstrumentor
from opentelemetry.util.genai.invocation import (
    CLIENT_EMBEDDING_CONTEXT_KEY,
    CLIENT_INFERENCE_CONTEXT_KEY,
    CLIENT_RETRIEVAL_CONTEXT_KEY,
    EmbeddingData,
    InferenceData,
    RetrievalData,
)
from sdk_server import INPUT_TOKENS, OUTPUT_TOKENS, SdkServer

import langmeter
from langmeter import semconv
from langmeter.telemetry import duplicates

OURS = "langmeter"


def openai(url, **fields):
    return ChatOpenAI(model="gpt-4o", base_url=url, api_key="key", max_retries=0, **fields)


def openai_text(url):
    return OpenAI(model="gpt-3.5-turbo-instruct", base_url=url, api_key="key", max_retries=0)


def embeddings(url):
    return OpenAIEmbeddings(
        model="text-embedding-3-small", base_url=url, api_key="key", max_retries=0, check_embedding_ctx_length=False
    )


def claude(url):
    return ChatAnthropic(model="claude-sonnet-4-6", base_url=url, api_key="key", max_retries=0)


def gemini(url):
    return ChatGoogleGenerativeAI(model="gemini-2.5-flash", base_url=url, google_api_key="key", max_retries=1)


def invoke(model):
    model.invoke("x")


def ainvoke(model):
    asyncio.run(model.ainvoke("x"))


def stream(model):
    list(model.stream("x"))


def astream(model):
    async def run():
        async for _ in model.astream("x"):
            pass

    asyncio.run(run())


def embed(model):
    model.embed_query("x")


def aembed(model):
    asyncio.run(model.aembed_query("x"))


WAYS = {"invoke": invoke, "ainvoke": ainvoke, "stream": stream, "astream": astream}
CHATS = {
    f"{name}-{way}": (make, call)
    for name, make in (("openai", openai), ("claude", claude))
    for way, call in WAYS.items()
}
INFERENCES = {
    **CHATS,
    "openai-responses": (lambda url: openai(url, use_responses_api=True), invoke),
    "gemini-invoke": (gemini, invoke),
    "gemini-stream": (gemini, stream),
}
EMBEDDINGS = {"embed": (embeddings, embed), "aembed": (embeddings, aembed)}


@pytest.fixture
def server():
    with SdkServer() as server:
        yield server


@pytest.fixture
def official(telemetry, server):
    """The official instrumentors, reporting to the same telemetry."""
    instrumentors = [OpenAIInstrumentor(), AnthropicInstrumentor(), GoogleGenAiSdkInstrumentor()]
    for instrumentor in instrumentors:
        instrumentor.instrument(**telemetry.providers)
    yield server
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


def scopes(telemetry):
    return sorted(span.instrumentation_scope.name for span in telemetry.spans())


def counted(telemetry):
    """How often a call was measured, and its tokens, over every metric that anybody has recorded."""
    measured = telemetry.metrics()

    def total(name):
        return sum(value for _, value in measured.get(name, ()))

    durations = [name for name in measured if name.endswith(".duration") and name.startswith("gen_ai.client")]
    return (
        sum(point.count for name in durations for _, point in measured[name]),
        total(semconv.INFERENCE_INPUT_TOKENS.name),
        total(semconv.INFERENCE_OUTPUT_TOKENS.name),
    )


@pytest.mark.parametrize(("make", "call"), INFERENCES.values(), ids=INFERENCES)
def test_an_official_instrumentation_of_the_sdk_is_silent_inside_our_call(telemetry, instrument, official, make, call):
    instrument(telemetry)
    call(make(official.url))
    assert scopes(telemetry) == [OURS]
    assert counted(telemetry) == (1, INPUT_TOKENS, OUTPUT_TOKENS)
    assert telemetry.logs() == []


@pytest.mark.parametrize(("make", "call"), INFERENCES.values(), ids=INFERENCES)
def test_it_reports_as_well_where_the_setting_is_off(telemetry, instrument, official, make, call):
    instrument(telemetry, suppress_nested=False)
    call(make(official.url))
    ours, theirs = sorted(telemetry.spans(), key=lambda span: span.instrumentation_scope.name != OURS)
    assert theirs.instrumentation_scope.name.startswith("opentelemetry.instrumentation.")
    assert theirs.parent.span_id == ours.context.span_id
    assert counted(telemetry)[0] == 2


@pytest.mark.parametrize(("make", "call"), EMBEDDINGS.values(), ids=EMBEDDINGS)
@pytest.mark.parametrize("suppresses", [True, False])
def test_official_instrumentation_of_embeddings(telemetry, instrument, official, make, call, suppresses):
    instrument(telemetry, suppress_nested=suppresses)
    call(make(official.url))
    assert len(telemetry.spans()) == (1 if suppresses else 2)
    assert OURS in scopes(telemetry)
    assert counted(telemetry)[0] == (1 if suppresses else 2)


def test_a_call_of_the_sdk_outside_of_langchain_is_still_reported(telemetry, instrument, official):
    instrument(telemetry)
    model = openai(official.url)
    invoke(model)
    model.root_client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "x"}])
    assert scopes(telemetry) == [OURS, "opentelemetry.instrumentation.genai.openai"]


def test_a_consumer_of_a_stream_may_call_the_sdk_itself(telemetry, instrument, official):
    instrument(telemetry)
    model = openai(official.url)
    chunks = model.stream("x")
    next(chunks)
    model.root_client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "x"}])
    list(chunks)
    assert scopes(telemetry) == [OURS, "opentelemetry.instrumentation.genai.openai"]


def test_counting_a_block_silences_nobody(telemetry, official):
    # `track()` reports nothing, so the others' report is the only one.
    with langmeter.track() as usage:
        invoke(openai(official.url))
    assert usage.calls == 1
    assert scopes(telemetry) == ["opentelemetry.instrumentation.genai.openai"]


def test_nothing_that_they_collect_is_kept(telemetry, instrument, official):
    # One object serves every call: were it to take what it is given, prompts and answers would stay in memory.
    instrument(telemetry)
    call = openai(official.url)
    invoke(call)
    held = [
        value for entries in map(duplicates.claims, ("chat", "embeddings", "retrieval")) for value in entries.values()
    ]
    data = [value for value in held if dataclasses.is_dataclass(value)]
    assert [dataclasses.asdict(value) for value in data] == [
        dataclasses.asdict(kind()) for kind in (InferenceData, EmbeddingData, RetrievalData)
    ]


def test_each_operation_has_its_official_key():
    duplicates.watch()
    keys = {
        operation: {key for key in duplicates.claims(operation) if "langmeter" not in key}
        for operation in ("chat", "text_completion", "embeddings", "retrieval", "execute_tool", "invoke_agent")
    }
    assert keys == {
        "chat": {CLIENT_INFERENCE_CONTEXT_KEY},
        "text_completion": {CLIENT_INFERENCE_CONTEXT_KEY},
        "embeddings": {CLIENT_EMBEDDING_CONTEXT_KEY},
        "retrieval": {CLIENT_RETRIEVAL_CONTEXT_KEY},
        "execute_tool": set(),
        "invoke_agent": set(),
    }


def test_neither_package_is_imported_by_us():
    code = """
        import sys, langmeter
        from langchain_core.language_models import FakeListChatModel
        langmeter.instrument(bootstrap="never")
        FakeListChatModel(responses=["a"]).invoke("x")
        print([name for name in ("anthropic", "opentelemetry.util.genai") if name in sys.modules])
    """
    assert run(code) == []


# -- headers ---------------------------------------------------------------------------------------------------------

REQUESTS = {**CHATS, **EMBEDDINGS, "openai-text": (openai_text, invoke), "gemini": (gemini, invoke)}


@pytest.mark.parametrize(("make", "call"), REQUESTS.values(), ids=REQUESTS)
def test_a_provider_gets_the_same_headers_with_and_without_us(telemetry, instrument, server, make, call):
    call(make(server.url))
    instrument(telemetry)
    call(make(server.url))
    without, with_us = server.headers
    assert with_us == without
    assert not {"traceparent", "tracestate", "baggage"} & set(with_us)
    assert len(telemetry.spans()) == 1


# -- the anthropic SDK's own spans: they go to the global provider, which can be set once in a process ----------------

PRELUDE = """
import json, sys
from langchain_anthropic import ChatAnthropic
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
import langmeter
from sdk_server import SdkServer

exporter = InMemorySpanExporter()
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(SimpleSpanProcessor(exporter))

def ask(**fields):
    with SdkServer() as server:
        model = ChatAnthropic(model="claude-sonnet-4-6", base_url=server.url, api_key="key", max_retries=0, **fields)
        model.invoke("x")
        list(model.stream("x"))
        model._client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}])
    return [headers.get("traceparent") for headers in server.headers]

def spans():
    found = [span for span in exporter.get_finished_spans()]
    exporter.clear()
    return sorted([span.instrumentation_scope.name, span.name] for span in found)
"""
CHAT = [OURS, "chat claude-sonnet-4-6"]
SDK = ["com.anthropic.sdk.python", "anthropic.messages.create"]


def run(code, prelude=""):
    """What a fresh process prints as JSON, with `code` in it."""
    source = prelude + textwrap.dedent(code)
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=120, check=False, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout.replace("'", '"'))


def test_the_own_span_of_the_anthropic_sdk_is_not_made_inside_our_call():
    # The SDK's span for the call that is not LangChain's stays, and it goes on sending its trace context.
    found = run(
        """
        trace.set_tracer_provider(provider)
        langmeter.instrument()
        sent = ask()
        ids = [format(span.context.span_id, "016x") for span in exporter.get_finished_spans()]
        print(json.dumps([spans(), [header.split("-")[2] for header in sent] == ids]))
        """,
        PRELUDE,
    )
    assert found == [[SDK, CHAT, CHAT], True]


def test_it_is_made_where_the_setting_is_off_and_after_we_are_switched_off():
    found = run(
        """
        import anthropic._base_client as sdk
        original = sdk.start_api_call_span
        trace.set_tracer_provider(provider)
        langmeter.instrument(suppress_nested=False)
        ask()
        without_the_setting = spans()
        langmeter.uninstrument()
        langmeter.instrument()
        patched = sdk.start_api_call_span is not original
        langmeter.uninstrument()
        ask()
        print(json.dumps([without_the_setting, patched, sdk.start_api_call_span is original, spans()]))
        """,
        PRELUDE,
    )
    assert found == [[SDK, SDK, SDK, CHAT, CHAT], True, True, [SDK, SDK, SDK]]


def test_an_application_without_tracing_of_its_own_sends_no_trace_context():
    # The global provider is the one that langmeter sets up: without langmeter the SDK would have nothing to send.
    found = run(
        """
        import os
        from langmeter import bootstrap
        os.environ["OTEL_TRACES_EXPORTER"] = os.environ["OTEL_METRICS_EXPORTER"] = os.environ["OTEL_LOGS_EXPORTER"] = "none"
        langmeter.instrument(bootstrap="now")
        trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
        sent = ask()[:2]
        print(json.dumps([bootstrap.owns(trace.get_tracer_provider()), sent, spans()]))
        """,
        PRELUDE,
    )
    assert found == [True, [None, None], [SDK, CHAT, CHAT]]


def test_the_sdk_is_met_whether_it_is_imported_before_or_after():
    found = run(
        """
        import sys, json
        import langmeter
        langmeter.instrument(bootstrap="never")
        assert "anthropic" not in sys.modules
        """
        + textwrap.indent(PRELUDE, "        ")
        + """
        trace.set_tracer_provider(provider)
        ask()
        print(json.dumps(spans()))
        """
    )
    assert found == [SDK, CHAT, CHAT]

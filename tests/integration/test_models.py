"""Every way of calling a model: the whole span and all metrics of each, against a real HTTP provider and in-memory models."""

import asyncio
from importlib.metadata import version
from typing import Any

import pytest
from langchain_openai import ChatOpenAI, OpenAI
from models import AsyncChat, AsyncText, Boom, Chat, PlainChat, Text, prompts
from openai_server import ANSWER_ID, FINGERPRINT, OpenAIServer
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import SpanKind, StatusCode

import langmeter

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is in beta"),
    # langchain-openai adds up the usage of `generate` and stumbles over details that the provider left out.
    pytest.mark.filterwarnings("ignore:Unexpected type for token usage"),
]

QUESTION = "What is the weather in Rome?"
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
PLACE = {"title": "Place", "type": "object", "properties": {"city": {"type": "string"}}}
PRICED = {
    "langchain.usage.cost.status": "priced",
    "langchain.usage.cost.currency": "USD",
    "langchain.usage.cost.source": "local",
    "langchain.price.source": "genai-prices",
    "langchain.price.version": f"genai-prices/{version('genai-prices')}",
}
ESTIMATED = {**PRICED, "langchain.usage.cost.status": "estimated"}
STREAMED = {"gen_ai.request.stream": True, "gen_ai.response.time_to_first_chunk": True}
HISTOGRAMS_OF_TOKENS = (
    "gen_ai.client.inference.operation.input_tokens",
    "gen_ai.client.inference.operation.output_tokens",
)


@pytest.fixture
def server():
    with OpenAIServer() as server:
        yield server


def chat_openai(server, **options):
    return ChatOpenAI(
        model="gpt-4o", base_url=server.base_url, api_key="key", **{"max_retries": 0, "stream_usage": True} | options
    )


def text_openai(server, **options):
    return OpenAI(
        model="gpt-3.5-turbo-instruct", base_url=server.base_url, api_key="key", **{"max_retries": 0} | options
    )


# -- what came out, with the readings of the clock replaced by whether there are any ---------------------------------


def facts(span) -> dict[str, Any]:
    attributes = dict(span.attributes)
    for name in ("gen_ai.response.time_to_first_chunk",):
        if name in attributes:
            attributes[name] = attributes[name] > 0
    return {
        "name": span.name,
        "kind": span.kind,
        "status": (span.status.status_code, span.status.description),
        "events": list(span.events),
        "attributes": attributes,
    }


def figures(telemetry) -> dict[str, list[tuple[dict[str, Any], Any]]]:
    """Every metric: the value of a counter, count and sum of a histogram of tokens, the count of any other histogram."""
    found = {}
    for name, points in telemetry.metrics().items():
        rows = []
        for attributes, point in points:
            value = point
            if hasattr(point, "bucket_counts"):
                value = (point.count, point.sum) if name in HISTOGRAMS_OF_TOKENS else point.count
            rows.append((attributes, value))
        found[name] = sorted(rows, key=repr)
    return found


def a_span(attributes, name="chat gpt-4o", status=(StatusCode.UNSET, None)) -> dict[str, Any]:
    return {"name": name, "kind": SpanKind.CLIENT, "status": status, "events": [], "attributes": attributes}


def usage_metrics(
    attributes, *, calls, tokens, costs, billed=None, cached=0, reasoning=0, saved=0, streamed=False
) -> dict[str, Any]:
    """The metrics of `calls` equal calls. `tokens`, `costs` (pico-dollars by category) and the rest are those of one.

    `billed` is how many of the calls carry the usage, where that is not all of them.
    """
    billed = calls if billed is None else billed
    inference = "gen_ai.client.inference."
    found = {
        f"{inference}duration": [(attributes, calls)],
        "langchain.inference.requests": [(attributes, calls)],
    }
    if streamed:
        found[f"{inference}time_to_first_chunk"] = [(attributes, calls)]
    if not tokens:
        return found
    partition = {**attributes, "gen_ai.token.modality": "unknown"}
    for kind, count in zip(("input", "output"), tokens, strict=True):
        found[f"{inference}usage.{kind}_tokens"] = [(partition, billed * count)]
        found[f"{inference}operation.{kind}_tokens"] = [(attributes, (billed, billed * count))]
    if cached:
        found[f"{inference}usage.cache_read.input_tokens"] = [(partition, billed * cached)]
    if reasoning:
        found[f"{inference}usage.reasoning.output_tokens"] = [(partition, billed * reasoning)]
    if saved:
        found["langchain.prompt_cache.saved.cost"] = [(attributes, billed * saved / 10**12)]
    found["langchain.inference.output_rate"] = [(attributes, billed)]
    if streamed:
        found["langchain.inference.generation_rate"] = [(attributes, billed)]
    found["langchain.usage.cost"] = money(attributes, billed, costs, "priced")
    return found


def money(attributes, calls, costs, status) -> list[tuple[dict[str, Any], float]]:
    rows = [
        (
            {**attributes, "langchain.usage.cost.category": category, "langchain.usage.cost.status": status},
            calls * amount / 10**12,
        )
        for category, amount in costs.items()
    ]
    return sorted(rows, key=repr)


def estimated_metrics(attributes, *, tokens, costs) -> dict[str, Any]:
    """The metrics of one stream whose usage is estimated: its tokens are in no metric that the provider's tokens are in."""
    return {
        **usage_metrics(attributes, calls=1, tokens=None, costs={}, streamed=True),
        "langchain.usage.estimated.input_tokens": [(attributes, tokens[0])],
        "langchain.usage.estimated.output_tokens": [(attributes, tokens[1])],
        "langchain.usage.cost": money(attributes, 1, costs, "estimated"),
    }


def estimated_attributes(tokens, costs) -> dict[str, Any]:
    return {
        **ESTIMATED,
        "langchain.usage.estimated.input_tokens": tokens[0],
        "langchain.usage.estimated.output_tokens": tokens[1],
        "langchain.usage.cost.amount": sum(costs.values()) / 10**12,
        "langchain.usage.cost.input": costs["input"] / 10**12,
        "langchain.usage.cost.output": costs["output"] / 10**12,
    }


# -- ways of calling -------------------------------------------------------------------------------------------------


async def drain(stream):
    return [item async for item in stream]


async def read_events(model, **options):
    stream = await model.astream_events(QUESTION, version="v3", **options)
    return await stream.output


def generate_text(model):
    return model.generate([QUESTION, QUESTION])


WHOLE = {
    "invoke": (1, lambda model: model.invoke(QUESTION)),
    "ainvoke": (1, lambda model: asyncio.run(model.ainvoke(QUESTION))),
    "batch": (2, lambda model: model.batch([QUESTION, QUESTION])),
    "abatch": (2, lambda model: asyncio.run(model.abatch([QUESTION, QUESTION]))),
    "generate": (2, lambda model: model.generate(prompts(QUESTION, QUESTION))),
    "agenerate": (2, lambda model: asyncio.run(model.agenerate(prompts(QUESTION, QUESTION)))),
}
STREAMS = {
    "stream": lambda model: list(model.stream(QUESTION)),
    "astream": lambda model: asyncio.run(drain(model.astream(QUESTION))),
    "invoke that streams": lambda model: model.invoke(QUESTION, stream=True),
    "ainvoke that streams": lambda model: asyncio.run(model.ainvoke(QUESTION, stream=True)),
    "v3 events": lambda model: model.stream_events(QUESTION, version="v3").output,
    "v3 async events": lambda model: asyncio.run(read_events(model)),
}
TEXT_WHOLE = {
    "invoke": (1, lambda model: model.invoke(QUESTION)),
    "ainvoke": (1, lambda model: asyncio.run(model.ainvoke(QUESTION))),
    "batch": (2, lambda model: model.batch([QUESTION, QUESTION])),
    "abatch": (2, lambda model: asyncio.run(model.abatch([QUESTION, QUESTION]))),
    "generate": (2, lambda model: model.generate([QUESTION, QUESTION])),
    "agenerate": (2, lambda model: asyncio.run(model.agenerate([QUESTION, QUESTION]))),
}
TEXT_STREAMS = {name: STREAMS[name] for name in ("stream", "astream")}


# -- ChatOpenAI against the server -----------------------------------------------------------------------------------

OPENAI_REQUEST = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
}
OPENAI_ANSWER = {
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "openai.response.service_tier": "default",
    "gen_ai.usage.input_tokens": 20,
    "gen_ai.usage.output_tokens": 12,
    "gen_ai.usage.cache_read.input_tokens": 8,
    "gen_ai.usage.reasoning.output_tokens": 5,
    **PRICED,
    "langchain.price.match": "dated",
    "langchain.usage.cost.amount": 0.00016,
    "langchain.usage.cost.input": 0.00003,
    "langchain.usage.cost.cache_read": 0.00001,
    "langchain.usage.cost.output": 0.00012,
}
CHAT_COMPLETIONS = {"openai.api.type": "chat_completions", "openai.response.system_fingerprint": FINGERPRINT}
RESPONSES = {"openai.api.type": "responses"}
IDENTIFIED = {"gen_ai.response.id": ANSWER_ID}


def openai_metrics(server, calls, *, streamed=False) -> dict[str, Any]:
    attributes = {
        **OPENAI_REQUEST,
        **server.address,
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "openai.response.service_tier": "default",
    }
    return usage_metrics(
        attributes,
        calls=calls,
        tokens=(20, 12),
        cached=8,
        reasoning=5,
        costs={"input": 30_000_000, "cache_read": 10_000_000, "output": 120_000_000},
        saved=10_000_000,
        streamed=streamed,
    )


@pytest.mark.parametrize(("calls", "drive"), WHOLE.values(), ids=WHOLE)
def test_openai_chat(instrumented, server, calls, drive):
    drive(chat_openai(server))
    attributes = {**OPENAI_REQUEST, **server.address, **OPENAI_ANSWER, **CHAT_COMPLETIONS, **IDENTIFIED}
    assert [facts(span) for span in instrumented.spans()] == [a_span(attributes)] * calls
    assert figures(instrumented) == openai_metrics(server, calls)


# LangChain replaces the id of a streamed chat completion by its own run id, which is nobody's response id.
@pytest.mark.parametrize("drive", STREAMS.values(), ids=STREAMS)
def test_openai_chat_streams(instrumented, server, drive):
    drive(chat_openai(server))
    attributes = {**OPENAI_REQUEST, **server.address, **STREAMED, **OPENAI_ANSWER, **CHAT_COMPLETIONS}
    assert [facts(span) for span in instrumented.spans()] == [a_span(attributes)]
    assert figures(instrumented) == openai_metrics(server, 1, streamed=True)


@pytest.mark.parametrize(
    "drive",
    [lambda model: model.invoke(QUESTION), lambda model: asyncio.run(model.ainvoke(QUESTION))],
    ids=["sync", "async"],
)
def test_openai_chat_with_streaming_switched_on(instrumented, server, drive):
    drive(chat_openai(server, streaming=True))
    attributes = {**OPENAI_REQUEST, **server.address, **STREAMED, **OPENAI_ANSWER, **CHAT_COMPLETIONS}
    assert [facts(span) for span in instrumented.spans()] == [a_span(attributes)]
    assert figures(instrumented) == openai_metrics(server, 1, streamed=True)


@pytest.mark.parametrize(("calls", "drive"), WHOLE.values(), ids=WHOLE)
def test_openai_responses(instrumented, server, calls, drive):
    drive(chat_openai(server, use_responses_api=True))
    attributes = {**OPENAI_REQUEST, **server.address, **OPENAI_ANSWER, **RESPONSES, **IDENTIFIED}
    assert [facts(span) for span in instrumented.spans()] == [a_span(attributes)] * calls
    assert figures(instrumented) == openai_metrics(server, calls)


@pytest.mark.parametrize("drive", [STREAMS["stream"], STREAMS["astream"]], ids=["stream", "astream"])
def test_openai_responses_stream(instrumented, server, drive):
    drive(chat_openai(server, use_responses_api=True))
    attributes = {**OPENAI_REQUEST, **server.address, **STREAMED, **OPENAI_ANSWER, **RESPONSES, **IDENTIFIED}
    assert [facts(span) for span in instrumented.spans()] == [a_span(attributes)]
    assert figures(instrumented) == openai_metrics(server, 1, streamed=True)


def test_openai_stream_without_usage_is_estimated(instrumented, server):
    list(chat_openai(server, stream_usage=False).stream(QUESTION))
    answer = {
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "openai.response.service_tier": "default",
    }
    request = {**OPENAI_REQUEST, **server.address}
    tokens, costs = (11, 3), {"input": 27_500_000, "output": 30_000_000}  # 28 / 4 + 4 and 12 / 4
    estimate = {**estimated_attributes(tokens, costs), "langchain.price.match": "dated"}
    attributes = {**request, **STREAMED, **answer, **CHAT_COMPLETIONS, **estimate}
    assert [facts(span) for span in instrumented.spans()] == [a_span(attributes)]
    series = {key: value for key, value in {**request, **answer}.items() if "finish" not in key}
    assert figures(instrumented) == estimated_metrics(series, tokens=tokens, costs=costs)


def test_openai_choices_share_one_usage(instrumented, server):
    chat_openai(server, n=2).invoke(QUESTION)
    attributes = {
        **OPENAI_REQUEST,
        **server.address,
        "gen_ai.request.choice.count": 2,
        **OPENAI_ANSWER,
        **CHAT_COMPLETIONS,
        **IDENTIFIED,
        "gen_ai.response.finish_reasons": ("stop", "stop"),
    }
    # LangChain gives several choices no metadata of their own, and with it goes the type of the API.
    del attributes["openai.api.type"]
    assert [facts(span) for span in instrumented.spans()] == [a_span(attributes)]
    assert figures(instrumented) == openai_metrics(server, 1)


SHAPES = {
    "tools": (lambda model: model.bind_tools([WEATHER]), {"gen_ai.response.finish_reasons": ("tool_call",)}),
    "structured output by schema": (
        lambda model: model.with_structured_output(PLACE, method="json_schema"),
        {"gen_ai.output.type": "json"},
    ),
    "structured output by tool": (
        lambda model: model.with_structured_output(PLACE, method="function_calling"),
        {"gen_ai.output.type": "json", "gen_ai.response.finish_reasons": ("tool_call",)},
    ),
    "json mode": (lambda model: model.bind(response_format={"type": "json_object"}), {"gen_ai.output.type": "json"}),
}


@pytest.mark.parametrize(("shape", "more"), SHAPES.values(), ids=SHAPES)
def test_openai_tools_and_structured_output(instrumented, server, shape, more):
    shape(chat_openai(server)).invoke(QUESTION)
    attributes = {**OPENAI_REQUEST, **server.address, **OPENAI_ANSWER, **CHAT_COMPLETIONS, **IDENTIFIED, **more}
    assert [facts(span) for span in instrumented.spans()] == [a_span(attributes)]
    assert figures(instrumented) == openai_metrics(server, 1)


def test_openai_request_parameters(instrumented, server):
    model = chat_openai(
        server,
        temperature=0,
        top_p=0.9,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        max_tokens=64,
        seed=7,
        stop=["END"],
        service_tier="flex",
        top_logprobs=3,
        logprobs=True,
    )
    model.invoke(QUESTION, temperature=1, config={"metadata": {"thread_id": "thread-1", "user": "nobody"}})
    (span,) = instrumented.spans()
    assert facts(span) == a_span(
        {
            **OPENAI_REQUEST,
            **server.address,
            "gen_ai.request.temperature": 1.0,
            "gen_ai.request.top_p": 0.9,
            "gen_ai.request.frequency_penalty": 0.1,
            "gen_ai.request.presence_penalty": 0.2,
            "gen_ai.request.max_tokens": 64,
            "gen_ai.request.seed": 7,
            "gen_ai.request.stop_sequences": ("END",),
            "openai.request.service_tier": "flex",
            "gen_ai.conversation.id": "thread-1",
            **OPENAI_ANSWER,
            **CHAT_COMPLETIONS,
            **IDENTIFIED,
        }
    )
    assert isinstance(span.attributes["gen_ai.request.temperature"], float)
    assert figures(instrumented) == openai_metrics(server, 1)


def test_openai_responses_request_parameters(instrumented, server):
    model = chat_openai(server, use_responses_api=True, reasoning={"effort": "low"}, max_tokens=64)
    model.invoke(QUESTION, previous_response_id="resp_0")
    more = {
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.request.previous_response.id": "resp_0",
        "gen_ai.request.max_tokens": 64,
    }
    attributes = {**OPENAI_REQUEST, **server.address, **more, **OPENAI_ANSWER, **RESPONSES, **IDENTIFIED}
    assert [facts(span) for span in instrumented.spans()] == [a_span(attributes)]


def test_what_samplers_need_is_there_when_the_span_starts(make_telemetry, instrument, server):
    asked = []

    class Asking(type(ALWAYS_ON)):
        def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None, *args, **kwargs):
            asked.append((name, kind, dict(attributes)))
            return super().should_sample(parent_context, trace_id, name, kind, attributes, *args, **kwargs)

    instrument(make_telemetry(Asking(ALWAYS_ON._decision)))
    chat_openai(server).invoke(QUESTION)
    assert asked == [("chat gpt-4o", SpanKind.CLIENT, {**OPENAI_REQUEST, **server.address})]


# -- OpenAI's text model against the server --------------------------------------------------------------------------

TEXT_REQUEST = {
    "gen_ai.operation.name": "text_completion",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-3.5-turbo-instruct",
}
TEXT_PARAMETERS = {
    "gen_ai.request.temperature": 0.7,
    "gen_ai.request.top_p": 1.0,
    "gen_ai.request.frequency_penalty": 0.0,
    "gen_ai.request.presence_penalty": 0.0,
    "gen_ai.request.max_tokens": 256,
}
TEXT_NAME = "text_completion gpt-3.5-turbo-instruct"
TEXT_MODEL = {"gen_ai.response.model": "gpt-3.5-turbo-instruct"}
STOPPED = {"gen_ai.response.finish_reasons": ("stop",)}


@pytest.mark.parametrize(("way", "calls", "drive"), [(way, *how) for way, how in TEXT_WHOLE.items()], ids=TEXT_WHOLE)
def test_openai_text_counts_the_usage_of_a_batch_once(instrumented, server, way, calls, drive):
    drive(text_openai(server))
    answered = {**TEXT_REQUEST, **server.address, **TEXT_PARAMETERS, **STOPPED, **TEXT_MODEL}
    if not way.startswith("a"):  # the asynchronous half of langchain-openai drops the fingerprint
        answered["openai.response.system_fingerprint"] = FINGERPRINT
    billed = {
        **answered,
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": 12,
        **PRICED,
        "langchain.price.match": "exact",
        "langchain.usage.cost.amount": 0.000054,
        "langchain.usage.cost.input": 0.00003,
        "langchain.usage.cost.output": 0.000024,
    }
    expected = [a_span(billed, TEXT_NAME), a_span(answered, TEXT_NAME)][:calls]
    found = sorted((facts(span) for span in instrumented.spans()), key=lambda span: -len(span["attributes"]))
    assert found == expected
    series = {**TEXT_REQUEST, **server.address, **TEXT_MODEL}
    costs = {"input": 30_000_000, "output": 24_000_000}
    assert figures(instrumented) == usage_metrics(series, calls=calls, billed=1, tokens=(20, 12), costs=costs)


@pytest.mark.parametrize("drive", TEXT_STREAMS.values(), ids=TEXT_STREAMS)
def test_openai_text_streams_carry_no_usage_and_are_estimated(instrumented, server, drive):
    drive(text_openai(server))
    request = {**TEXT_REQUEST, **server.address}
    tokens, costs = (7, 3), {"input": 10_500_000, "output": 6_000_000}  # 28 / 4 and 12 / 4
    estimate = {**estimated_attributes(tokens, costs), "langchain.price.match": "exact"}
    attributes = {**request, **TEXT_PARAMETERS, **STREAMED, **STOPPED, **estimate}
    assert [facts(span) for span in instrumented.spans()] == [a_span(attributes, TEXT_NAME)]
    assert figures(instrumented) == estimated_metrics(request, tokens=tokens, costs=costs)


# -- models without a network ----------------------------------------------------------------------------------------

FAKE_CHAT = {
    **OPENAI_REQUEST,
    **STOPPED,
    "gen_ai.response.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 5,
    **PRICED,
    "langchain.price.match": "exact",
    "langchain.usage.cost.amount": 0.000075,
    "langchain.usage.cost.input": 0.000025,
    "langchain.usage.cost.output": 0.00005,
}


def fake_chat_metrics(calls, *, streamed=False) -> dict[str, Any]:
    series = {**OPENAI_REQUEST, "gen_ai.response.model": "gpt-4o"}
    costs = {"input": 25_000_000, "output": 50_000_000}
    return usage_metrics(series, calls=calls, tokens=(10, 5), costs=costs, streamed=streamed)


@pytest.mark.parametrize("model", [PlainChat, Chat, AsyncChat])
@pytest.mark.parametrize(("calls", "drive"), WHOLE.values(), ids=WHOLE)
def test_chat(instrumented, model, calls, drive):
    drive(model())
    assert [facts(span) for span in instrumented.spans()] == [a_span(FAKE_CHAT)] * calls
    assert figures(instrumented) == fake_chat_metrics(calls)


@pytest.mark.parametrize("model", [Chat, AsyncChat])
@pytest.mark.parametrize("drive", STREAMS.values(), ids=STREAMS)
def test_chat_streams(instrumented, model, drive):
    drive(model())
    assert [facts(span) for span in instrumented.spans()] == [a_span({**FAKE_CHAT, **STREAMED})]
    assert figures(instrumented) == fake_chat_metrics(1, streamed=True)


@pytest.mark.parametrize("drive", TEXT_STREAMS.values(), ids=TEXT_STREAMS)
def test_a_model_that_cannot_stream_is_one_whole_call(instrumented, drive):
    drive(PlainChat())
    assert [facts(span) for span in instrumented.spans()] == [a_span(FAKE_CHAT)]
    assert figures(instrumented) == fake_chat_metrics(1)


@pytest.mark.parametrize("model", [Text, AsyncText])
@pytest.mark.parametrize(("calls", "drive"), TEXT_WHOLE.values(), ids=TEXT_WHOLE)
def test_text(instrumented, model, calls, drive):
    drive(model())
    answered = {**TEXT_REQUEST, **STOPPED, **TEXT_MODEL}
    billed = {
        **answered,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        **PRICED,
        "langchain.price.match": "exact",
        "langchain.usage.cost.amount": 0.000025,
        "langchain.usage.cost.input": 0.000015,
        "langchain.usage.cost.output": 0.00001,
    }
    expected = [a_span(billed, TEXT_NAME), a_span(answered, TEXT_NAME)][:calls]
    found = sorted((facts(span) for span in instrumented.spans()), key=lambda span: -len(span["attributes"]))
    assert found == expected
    costs = {"input": 15_000_000, "output": 10_000_000}
    assert figures(instrumented) == usage_metrics(
        {**TEXT_REQUEST, **TEXT_MODEL}, calls=calls, billed=1, tokens=(10, 5), costs=costs
    )


@pytest.mark.parametrize("model", [Text, AsyncText])
@pytest.mark.parametrize("drive", TEXT_STREAMS.values(), ids=TEXT_STREAMS)
def test_text_streams(instrumented, model, drive):
    drive(model())
    estimate = estimated_attributes((7, 1), {"input": 10_500_000, "output": 2_000_000})  # three letters
    attributes = {**TEXT_REQUEST, **STREAMED, **STOPPED, **estimate, "langchain.price.match": "exact"}
    assert [facts(span) for span in instrumented.spans()] == [a_span(attributes, TEXT_NAME)]


# -- attempts --------------------------------------------------------------------------------------------------------


def attempts(telemetry):
    return [(span.name, span.status.status_code.name, span.attributes.get("error.type")) for span in telemetry.spans()]


@pytest.mark.parametrize("drive", [WHOLE["invoke"][1], WHOLE["ainvoke"][1]], ids=["sync", "async"])
def test_each_attempt_of_with_retry_is_a_call(instrumented, server, drive):
    server.refuse = [429]
    drive(chat_openai(server).with_retry(wait_exponential_jitter=False, stop_after_attempt=2))
    failed, answered = attempts(instrumented)
    assert failed[:2] == ("chat gpt-4o", "ERROR")
    assert failed[2].endswith("RateLimitError")
    assert answered == ("chat gpt-4o", "UNSET", None)
    requests = {
        attributes.get("error.type"): value
        for attributes, value in figures(instrumented)["langchain.inference.requests"]
    }
    assert requests == {failed[2]: 1, None: 1}


@pytest.mark.parametrize("drive", [WHOLE["invoke"][1], WHOLE["ainvoke"][1]], ids=["sync", "async"])
def test_a_fallback_is_a_call_of_its_own(instrumented, server, drive):
    server.refuse = [401]
    drive(chat_openai(server).with_fallbacks([Chat(model="gpt-4.1")]))
    failed, answered = attempts(instrumented)
    assert failed[:2] == ("chat gpt-4o", "ERROR")
    assert failed[2].endswith("AuthenticationError")
    assert answered == ("chat gpt-4.1", "UNSET", None)


def test_retries_inside_the_client_are_part_of_the_call(instrumented, server):
    server.refuse = [429, 500]
    chat_openai(server, max_retries=2).invoke(QUESTION)
    assert len(server.requests) == 3
    assert attempts(instrumented) == [("chat gpt-4o", "UNSET", None)]
    assert figures(instrumented) == openai_metrics(server, 1)


# -- exceptions ------------------------------------------------------------------------------------------------------

SINGLE = {**{name: drive for name, (calls, drive) in WHOLE.items() if calls == 1}, **STREAMS}


@pytest.mark.parametrize("drive", SINGLE.values(), ids=SINGLE)
def test_a_refused_request(instrumented, server, drive):
    server.refuse = [429]
    with pytest.raises(Exception, match="secret") as caught:
        drive(chat_openai(server))
    error_type = f"{caught.type.__module__}.{caught.type.__qualname__}"
    assert error_type.endswith("RateLimitError")
    attributes = {**OPENAI_REQUEST, **server.address, "error.type": error_type}
    # The provider refused: no tokens, no money, and no duty to know a price.
    streamed = {"gen_ai.request.stream": True} if drive in (STREAMS["stream"], STREAMS["astream"]) else {}
    assert [facts(span) for span in instrumented.spans()] == [
        a_span({**attributes, **streamed}, status=(StatusCode.ERROR, None))
    ]
    assert figures(instrumented) == usage_metrics(attributes, calls=1, tokens=None, costs={})


@pytest.mark.parametrize("drive", [STREAMS["stream"], STREAMS["astream"]], ids=["sync", "async"])
def test_a_stream_that_breaks(instrumented, drive):
    with pytest.raises(Boom, match="secret"):
        drive(AsyncChat(fails_on=QUESTION, failure=Boom("secret")))
    tokens, costs = (11, 1), {"input": 27_500_000, "output": 10_000_000}  # one letter had arrived
    attributes = {
        **OPENAI_REQUEST,
        **STREAMED,
        "error.type": "models.Boom",
        "gen_ai.response.finish_reasons": ("error",),
        **estimated_attributes(tokens, costs),
        "langchain.price.match": "exact",
    }
    assert [facts(span) for span in instrumented.spans()] == [a_span(attributes, status=(StatusCode.ERROR, None))]
    failed = {**OPENAI_REQUEST, "error.type": "models.Boom"}
    assert figures(instrumented) == {
        **estimated_metrics(OPENAI_REQUEST, tokens=tokens, costs=costs),
        "gen_ai.client.inference.duration": [(failed, 1)],
        "langchain.inference.requests": [(failed, 1)],
    }


def exception_event(telemetry):
    """The only log record: everything but where the code was, and that."""
    (entry,) = telemetry.logs()
    record = entry.log_record
    (span,) = telemetry.spans()
    attributes = dict(record.attributes)
    stack = attributes.pop("exception.stacktrace")
    found = {
        "event": record.event_name,
        "severity": (record.severity_number.value, record.severity_text),
        "body": record.body,
        "attributes": attributes,
        "of its span": (record.trace_id, record.span_id) == (span.context.trace_id, span.context.span_id),
    }
    return found, stack


@pytest.mark.parametrize("drive", SINGLE.values(), ids=SINGLE)
def test_an_exception_is_logged_without_its_message(instrumented, drive):
    with pytest.raises(Boom):
        drive(AsyncChat(fails_on=QUESTION, failure=Boom("secret")))
    found, stack = exception_event(instrumented)
    assert found == {
        "event": "gen_ai.client.operation.exception",
        "severity": (13, "WARN"),
        "body": None,
        "attributes": {"exception.type": "models.Boom"},
        "of its span": True,
    }
    # The stack tells where, and quotes no line of anybody's source.
    assert "models.py" in stack
    assert "secret" not in stack
    assert "raise self.failure" not in stack


@pytest.mark.parametrize("drive", [WHOLE["invoke"][1], WHOLE["ainvoke"][1], STREAMS["stream"]])
def test_messages_of_exceptions_on_request(telemetry, instrument, drive):
    instrument(telemetry, exception_messages=True)
    with pytest.raises(Boom):
        drive(AsyncChat(fails_on=QUESTION, failure=Boom("secret")))
    found, stack = exception_event(telemetry)
    assert found["attributes"] == {"exception.type": "models.Boom", "exception.message": "secret"}
    assert "raise self.failure" in stack
    assert stack.endswith("models.Boom: secret\n")
    (span,) = telemetry.spans()
    assert facts(span)["status"] == (StatusCode.ERROR, "secret")


def test_one_failed_item_of_a_batch_is_one_failed_call(instrumented):
    results = Chat(fails_on="bad", failure=Boom("secret")).batch(["good", "bad", "fine"], return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["AIMessage", "Boom", "AIMessage"]
    assert sorted(attempts(instrumented), key=repr) == [
        ("chat gpt-4o", "ERROR", "models.Boom"),
        ("chat gpt-4o", "UNSET", None),
        ("chat gpt-4o", "UNSET", None),
    ]


# -- sampling --------------------------------------------------------------------------------------------------------


def a_bit_of_everything(server):
    for _, drive in WHOLE.values():
        drive(chat_openai(server))
        drive(AsyncChat())
    for drive in STREAMS.values():
        drive(chat_openai(server))
    for _, drive in TEXT_WHOLE.values():
        drive(AsyncText())
    for drive in (WHOLE["invoke"][1], WHOLE["ainvoke"][1], STREAMS["stream"], STREAMS["astream"]):
        with pytest.raises(Boom):
            drive(AsyncChat(fails_on=QUESTION))


@pytest.mark.version_3
def test_metrics_and_logs_do_not_depend_on_sampling(make_telemetry, instrument, server):
    found = []
    for sampler in (ALWAYS_ON, ALWAYS_OFF):
        telemetry = instrument(make_telemetry(sampler))
        a_bit_of_everything(server)
        langmeter.uninstrument()
        events = [dict(entry.log_record.attributes)["exception.type"] for entry in telemetry.logs()]
        found.append((figures(telemetry), events, len(telemetry.spans())))
    sampled, unsampled = found
    assert unsampled == (sampled[0], sampled[1], 0)
    assert sampled[2] == 40
    assert sampled[1] == ["models.Boom"] * 4

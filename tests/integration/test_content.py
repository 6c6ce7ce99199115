"""Content of real calls, tools, retrievals, agents and graphs: in every mode, and nowhere it was not asked for."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.documents import Document
from langchain_core.globals import set_llm_cache
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder, PromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from models import AsyncChat, Boom, Chat, PlainChat, Text
from opentelemetry._logs import NoOpLoggerProvider, SeverityNumber
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

import langmeter
from content_schemas import decoded
from langmeter import boundary, semconv
from langmeter import settings as settings_module
from langmeter.settings import CONTENT_VARIABLE

KEY = "sk-abcdefghij1234567890"


def said(role: str, *texts: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text} for text in texts]}


def exchange(question: str, answer: str) -> dict[str, Any]:
    return {
        semconv.INPUT_MESSAGES: [said("user", question)],
        semconv.OUTPUT_MESSAGES: [said("assistant", answer)],
    }


def on_spans(telemetry) -> dict[str, Any]:
    """The content of every span by its name; each name occurs once in these tests."""
    found = {}
    for span in telemetry.spans():
        assert span.name not in found
        found[span.name] = decoded(span.attributes)
    return found


def details(telemetry):
    return [record for record in telemetry.logs() if record.log_record.event_name == semconv.DETAILS_EVENT]


def plain(value: Any) -> Any:
    """An attribute of a log record as JSON values: the SDK makes tuples of lists."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


class Scripted(GenericFakeChatModel):
    def bind_tools(self, tools, **kwargs):
        given = [{"type": "function", "function": {"name": t.name, "description": t.description}} for t in tools]
        return self.bind(tools=given)


@tool
def weather(city: str, password: str = "") -> str:
    """The weather of a city."""
    return json.dumps({"city": city, "degrees": 21})


class Library(BaseRetriever):
    def _get_relevant_documents(self, query, *, run_manager):
        return [Document("a long text", id="d1", metadata={"score": 0.5}), Document("another")]


class State(TypedDict):
    number: int


def graph():
    builder = StateGraph(State)
    builder.add_node("add", lambda state: {"number": state["number"] + 1})
    builder.add_edge(START, "add")
    builder.add_edge("add", END)
    return builder.compile(name="flow")


# -- modes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "spans", "events"),
    [("off", False, False), ("span", True, False), ("event", False, True), ("span_and_event", True, True)],
)
def test_each_mode_records_where_it_says(telemetry, instrument, mode, spans, events):
    instrument(telemetry, content=mode)
    Chat().invoke(f"hi {KEY}")

    expected = exchange("hi [redacted:key]", "re: hi [redacted:key]")
    assert on_spans(telemetry) == {"chat gpt-4o": expected if spans else {}}
    assert len(details(telemetry)) == events
    assert KEY not in repr(telemetry.spans()[0].attributes) + repr(telemetry.logs())


def test_the_event_repeats_the_span_and_has_content_as_structure(telemetry, instrument):
    instrument(telemetry, content="span_and_event")
    Chat().invoke("hi")
    (span,), (event,) = telemetry.spans(), details(telemetry)
    record = event.log_record

    assert (record.severity_number, record.severity_text) == (SeverityNumber.DEBUG, "DEBUG")
    assert (record.trace_id, record.span_id) == (span.context.trace_id, span.context.span_id)
    assert plain(dict(record.attributes)) == plain(
        {**span.attributes, **exchange("hi", "re: hi")},
    )


@pytest.mark.parametrize(
    ("value", "spans"),
    [
        ("SPAN_ONLY", True),
        ("span_only", True),
        ("SPAN_AND_EVENT", True),
        ("NO_CONTENT", False),
        ("", False),
        ("true", False),
    ],
)
def test_the_standard_variable(telemetry, instrument, monkeypatch, caplog, value, spans):
    monkeypatch.setattr(settings_module, "_warned", set())
    monkeypatch.setenv(CONTENT_VARIABLE, value)
    with caplog.at_level(logging.WARNING, "langmeter"):
        instrument(telemetry)
        langmeter.Settings()
        Chat().invoke("hi")

    assert bool(on_spans(telemetry)["chat gpt-4o"]) == spans
    said_so = [record.getMessage() for record in caplog.records if CONTENT_VARIABLE in record.getMessage()]
    assert len(said_so) == (value == "true")


# -- nothing is read where nobody records it -------------------------------------------------------------------------------


class Watched(dict):
    """Arguments of a tool call that note when they are read."""

    def __init__(self) -> None:
        super().__init__(city="Paris")
        self.reads = 0

    def items(self):
        self.reads += 1
        return super().items()


def prompt_with(arguments: Watched) -> list[Any]:
    """A prompt that holds this very object: LangChain's own classes would copy it."""
    call = AIMessage("", tool_calls=[{"name": "weather", "args": {}, "id": "c1"}])
    call.__dict__["tool_calls"][0]["args"] = arguments
    return [HumanMessage("hi"), call, HumanMessage("so?")]


@pytest.mark.parametrize(
    ("mode", "sampled", "logger", "reads"),
    [
        ("off", True, True, 0),
        ("span", True, True, 1),
        ("span", False, True, 0),
        ("event", True, False, 0),
        ("event", False, True, 1),
        ("span_and_event", True, True, 1),
        ("span_and_event", False, False, 0),
    ],
)
def test_content_is_read_once_and_only_where_somebody_records_it(make_telemetry, mode, sampled, logger, reads):
    telemetry = make_telemetry(ALWAYS_ON if sampled else ALWAYS_OFF)
    providers = {
        **telemetry.providers,
        "logger_provider": telemetry.logger_provider if logger else NoOpLoggerProvider(),
    }
    langmeter.instrument(**providers, content=mode, estimates=False)
    arguments = Watched()
    try:
        PlainChat().invoke(prompt_with(arguments))
    finally:
        langmeter.uninstrument()

    assert arguments.reads == reads


def test_the_hook_is_not_called_for_a_span_that_nobody_records(make_telemetry, instrument):
    seen: list[str] = []
    instrument(make_telemetry(ALWAYS_OFF), content="span", redact=lambda text: seen.append(text) or text)
    Chat().invoke("hi")
    list(Text().stream("hi"))
    weather.invoke({"city": "Paris"})
    Library().invoke("hi")
    graph().invoke({"number": 1})

    assert seen == []


# -- model calls ---------------------------------------------------------------------------------------------------------


def stream(model, prompt):
    return list(model.stream(prompt))


async def astream(model, prompt):
    return [chunk async for chunk in model.astream(prompt)]


@pytest.mark.parametrize(
    ("model", "ask", "answer"),
    [
        (Chat(), lambda model: model.invoke("hi"), "re: hi"),
        (Chat(), lambda model: stream(model, "hi"), "abc"),
        (AsyncChat(), lambda model: asyncio.run(model.ainvoke("hi")), "re: hi"),
        (AsyncChat(), lambda model: asyncio.run(astream(model, "hi")), "abc"),
        (Text(), lambda model: model.invoke("hi"), "re: hi"),
        (Text(), lambda model: asyncio.run(model.ainvoke("hi")), "re: hi"),
    ],
    ids=["chat", "stream", "async", "async stream", "text", "async text"],
)
def test_every_way_to_call_a_model(telemetry, instrument, model, ask, answer):
    instrument(telemetry, content="span")
    ask(model)

    (content,) = on_spans(telemetry).values()
    assert content == exchange("hi", answer)


def test_each_prompt_of_a_batch_has_its_own(telemetry, instrument):
    instrument(telemetry, content="span")
    Text().generate(["a", "b", "c"])

    found = [decoded(span.attributes) for span in telemetry.spans()]
    assert sorted(found, key=str) == [exchange(text, f"re: {text}") for text in "abc"]


@pytest.mark.parametrize("model", [Chat(), Text()], ids=["chat", "text"])
def test_a_cached_answer_is_content_too(telemetry, instrument, model):
    instrument(telemetry, content="span")
    set_llm_cache(InMemoryCache())
    model.invoke("hi")
    model.invoke("hi")

    first, second = telemetry.spans()
    assert second.attributes[semconv.CACHE_STATUS] == "hit"
    assert decoded(first.attributes) == decoded(second.attributes) == exchange("hi", "re: hi")


def test_a_failed_call_keeps_its_prompt_and_what_had_arrived(telemetry, instrument):
    instrument(telemetry, content="span")
    with pytest.raises(Boom):
        PlainChat(fails_on="hi").invoke("hi")
    with pytest.raises(Boom):
        list(Chat(fails_on="hi").stream("hi"))

    failed, broken = [decoded(span.attributes) for span in telemetry.spans()]
    assert failed == {semconv.INPUT_MESSAGES: [said("user", "hi")]}
    assert broken == exchange("hi", "a")


def test_prompt_variables_are_those_of_the_prompt_before_the_call(telemetry, instrument):
    instrument(telemetry, content="span")
    messages = [("system", "Be {mood}."), MessagesPlaceholder("history"), ("human", "{question}")]
    chain = ChatPromptTemplate.from_messages(messages) | Chat()
    chain.invoke({"mood": "kind", "question": "why", "history": [("human", "hm")]})
    list((PromptTemplate.from_template("{question}") | Text()).stream({"question": "how"}))
    Chat().invoke("plain")

    names = [
        {name: text for name, text in decoded(span.attributes).items() if "variable" in name}
        for span in telemetry.spans()
    ]
    prefix = semconv.PROMPT_VARIABLE_PREFIX
    assert names == [
        {f"{prefix}mood": "kind", f"{prefix}question": "why", f"{prefix}history": '[["human","hm"]]'},
        {f"{prefix}question": "how"},
        {},
    ]


# -- steps ---------------------------------------------------------------------------------------------------------------


def test_an_agent_with_a_tool(telemetry, instrument):
    instrument(telemetry, content="span")
    call = AIMessage("", tool_calls=[{"name": "weather", "args": {"city": "Paris", "password": "x"}, "id": "c1"}])
    model = Scripted(messages=iter([call, AIMessage("21 degrees")]))
    question = [HumanMessage(f"Weather in Paris? {KEY}")]
    guide = create_agent(model, [weather], system_prompt="Be kind.", name="guide")
    answer = guide.invoke({"messages": question})["messages"][-1]

    by = {"name": "guide"} if answer.name else {}  # langchain 1.0 does not sign the answers of an agent
    asked = said("user", "Weather in Paris? [redacted:key]")
    part = {
        "type": "tool_call",
        "name": "weather",
        "id": "c1",
        "arguments": {"city": "Paris", "password": "[redacted:password]"},
    }
    called = {"role": "assistant", "parts": [part]}
    response = {"type": "tool_call_response", "id": "c1", "response": '{"city": "Paris", "degrees": 21}'}
    told = {"role": "tool", "parts": [response], "name": "weather"}
    tools = {semconv.TOOL_DEFINITIONS: [{"type": "function", "name": "weather"}]}
    assert [(span.name, decoded(span.attributes)) for span in telemetry.spans()] == [
        (
            "chat",
            {
                **tools,
                semconv.INPUT_MESSAGES: [said("system", "Be kind."), asked],
                semconv.OUTPUT_MESSAGES: [called],
            },
        ),
        (
            "execute_tool weather",
            {
                semconv.TOOL_CALL_ARGUMENTS: {"city": "Paris", "password": "[redacted:password]"},
                semconv.TOOL_CALL_RESULT: {"city": "Paris", "degrees": 21},
            },
        ),
        (
            "chat",
            {
                **tools,
                semconv.INPUT_MESSAGES: [said("system", "Be kind."), asked, {**called, **by}, told],
                semconv.OUTPUT_MESSAGES: [said("assistant", "21 degrees")],
            },
        ),
        (
            "invoke_agent guide",
            {
                semconv.INPUT_MESSAGES: [asked],
                semconv.OUTPUT_MESSAGES: [{**said("assistant", "21 degrees"), **by}],
            },
        ),
    ]


def test_a_retrieval_has_its_query_and_the_ids_it_found(telemetry, instrument):
    instrument(telemetry, content="span_and_event")
    Library().invoke(f"what {KEY}")

    assert on_spans(telemetry) == {
        "retrieval": {
            semconv.RETRIEVAL_QUERY_TEXT: "what [redacted:key]",
            semconv.RETRIEVAL_DOCUMENTS: [{"id": "d1", "score": 0.5}, {}],
        }
    }
    assert telemetry.logs() == []


@pytest.mark.parametrize("run", [lambda g, v: g.invoke(v), lambda g, v: list(g.stream(v))], ids=["invoke", "stream"])
def test_a_graph_without_messages_has_its_state(telemetry, instrument, run):
    instrument(telemetry, content="span")
    run(graph(), {"number": 1})

    assert on_spans(telemetry) == {"invoke_workflow flow": exchange('{"number":1}', '{"number":2}')}


# -- exceptions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["off", "span"])
def test_messages_of_exceptions_are_redacted(telemetry, instrument, content):
    instrument(telemetry, content=content, exception_messages=True, content_max_length=2_000)
    failure = ValueError(f"no access with {KEY} for jane@example.com " + "x" * 5_000)
    with pytest.raises(ValueError, match="no access"):
        PlainChat(fails_on="hi", failure=failure).invoke("hi")

    @tool
    def fails() -> str:
        """Fails."""
        raise failure

    with pytest.raises(ValueError, match="no access"):
        fails.invoke({})

    for span in telemetry.spans():
        description = span.status.description
        assert description.startswith("no access with [redacted:key] for [redacted:email] xxx")
        assert len(description) < 2_050
    recorded = repr([dict(record.log_record.attributes) for record in telemetry.logs()])
    assert len(telemetry.logs()) == 2
    assert KEY not in recorded
    assert "jane@" not in recorded


def test_a_failing_hook_hides_the_exception_too(telemetry, instrument):
    boundary.set_strict(False)
    instrument(telemetry, exception_messages=True, redact=lambda _: 1 / 0)
    with pytest.raises(ValueError, match="Sesame"):
        PlainChat(fails_on="hi", failure=ValueError("Sesame")).invoke("hi")

    assert telemetry.spans()[0].status.description == "[redaction failed]"
    assert "Sesame" not in repr([dict(record.log_record.attributes) for record in telemetry.logs()])
    errors = telemetry.metrics()[semconv.INSTRUMENTATION_ERRORS.name]
    assert errors == [({semconv.INSTRUMENTATION_STAGE: "redact"}, 2)]


def test_a_hook_that_asks_a_model_does_not_record_itself_for_ever(telemetry, instrument):
    boundary.set_strict(False)
    judge = PlainChat(model="judge")
    instrument(telemetry, content="span", redact=lambda text: str(judge.invoke(text).content))
    PlainChat().invoke("hi")

    shown = [
        decoded(span.attributes)[semconv.INPUT_MESSAGES] for span in telemetry.spans() if span.name == "chat gpt-4o"
    ]
    assert shown == [[said("user", "re: hi")]]


def test_megabytes_of_images_stay_out(telemetry, instrument):
    instrument(telemetry, content="span_and_event")
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0K" * 500_000}}
    Chat().invoke([HumanMessage([{"type": "text", "text": "hi"}, image])])

    (span,) = telemetry.spans()
    (message,) = decoded(span.attributes)[semconv.INPUT_MESSAGES]
    assert message["parts"] == [
        {"type": "text", "content": "hi"},
        {"type": "omitted_blob", "modality": "image", "mime_type": "image/png", "size": 3_000_000},
    ]
    assert len(repr(dict(span.attributes))) < 100_000
    assert len(repr(dict(details(telemetry)[0].log_record.attributes))) < 100_000

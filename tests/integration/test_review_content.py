"""Content of applications that make it hard: hooks, variables, exceptions and values that work against us."""

from __future__ import annotations

import copy
import time

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.prompts import PromptTemplate
from langchain_core.tools import tool
from models import Chat, PlainChat

from content_schemas import decoded
from langmeter import boundary, semconv
from langmeter.listeners import listeners


def said(role, text):
    return [{"role": role, "parts": [{"type": "text", "content": text}]}]


def test_a_hook_that_asks_a_model_on_other_threads_does_not_record_itself_for_ever(telemetry, instrument):
    boundary.set_strict(False)
    judge = PlainChat(model="judge")
    asked = []

    def hook(text):
        asked.append(text)
        assert len(asked) < 20
        return str(judge.batch([text, text])[0].content)

    instrument(telemetry, content="span", redact=hook)
    PlainChat().invoke("hi")

    shown = {span.name: decoded(span.attributes)[semconv.INPUT_MESSAGES] for span in telemetry.spans()}
    assert shown == {
        "chat gpt-4o": said("user", "re: hi"),
        "chat judge": said("user", "[redaction failed]"),
    }
    assert sorted(asked) == ["hi", "re: hi"]


def test_very_many_variables_of_a_prompt_push_nothing_else_off_the_span(telemetry, instrument):
    instrument(telemetry, content="span")
    given = {"question": "why", **{f"k{number}": "v" for number in range(500)}}
    (PromptTemplate.from_template("{question}") | Chat()).invoke({"question": "why"})
    (PromptTemplate.from_template("{question}") | Chat()).invoke(given)

    plain, crowded = [dict(span.attributes) for span in telemetry.spans() if span.name == "chat gpt-4o"]
    variables = {name for name in crowded if name.startswith(semconv.PROMPT_VARIABLE_PREFIX)}
    assert len(variables) == 32
    assert set(crowded) - variables == set(plain) - variables


def test_what_the_application_passes_is_neither_changed_nor_used_up(telemetry, instrument):
    instrument(telemetry, content="span_and_event")
    blocks = [
        {"type": "text", "text": "hi sk-abcdefghij1234567890"},
        {"type": "image_url", "image_url": {"url": "https://u:p@x.test/a.png?sig=1"}},
        {"type": "odd", "index": 0, "data": "AAAA", "inner": {"signature": "x", "list": [1]}},
    ]
    prompt = [
        HumanMessage(blocks),
        AIMessage("", tool_calls=[{"name": "f", "args": {"password": "x"}, "id": "c1"}]),
        ToolMessage("21", tool_call_id="c1"),
    ]
    before = copy.deepcopy(prompt)
    steps = []

    @tool
    def count() -> object:
        """Counts."""
        return (steps.append(number) or number for number in range(3))

    Chat().invoke(prompt)
    counted = count.invoke({})

    assert prompt == before
    assert steps == []
    assert list(counted) == [0, 1, 2]
    assert decoded(telemetry.spans()[-1].attributes)[semconv.TOOL_CALL_RESULT] == {"output": "<generator>"}


class Slow(dict):
    """A block that takes its time to be read."""

    read_at = 0.0

    def items(self):
        time.sleep(0.05)
        Slow.read_at = time.perf_counter()
        return super().items()


class Stopwatch:
    """Says when each call began, at the latest."""

    wants_keys = False

    def __init__(self):
        self.began = []

    def record(self, priced):
        self.began.append(time.perf_counter() - priced.call.duration)


def test_reading_content_is_no_time_of_the_model(telemetry, instrument):
    instrument(telemetry, content="span", estimates=False)
    prompt = HumanMessage("hi")
    prompt.__dict__["content"] = [Slow(type="odd")]
    stopwatch = Stopwatch()
    listeners.add(stopwatch)
    try:
        PlainChat().invoke([prompt, HumanMessage("hi")])
    finally:
        listeners.remove(stopwatch)

    (began,) = stopwatch.began
    assert 0 < Slow.read_at <= began


class Hostile(Exception):  # noqa: N818  (what it is)
    """An exception whose attributes raise."""

    @property
    def completion(self):
        raise RuntimeError("secret")


@pytest.mark.parametrize("told", [False, True])
def test_an_exception_whose_attributes_raise_is_reported_as_itself(telemetry, instrument, told):
    boundary.set_strict(False)
    instrument(telemetry, exception_messages=told)
    with pytest.raises(Hostile):
        PlainChat(fails_on="hi", failure=Hostile("no")).invoke("hi")

    (span,) = telemetry.spans()
    assert span.attributes[semconv.ERROR_TYPE] == f"{__name__}.Hostile"
    assert span.status.description == ("no" if told else None)

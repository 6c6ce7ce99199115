"""Messages of every shape as the conventions' parts, and content as it is written: valid, bounded, redacted."""

from __future__ import annotations

import base64
import dataclasses
import itertools
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

import numpy as np
import pytest
from jsonschema import Draft7Validator
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, Generation, LLMResult
from langgraph.store.base import Item
from langgraph.types import Command
from pydantic import BaseModel, Field, SecretStr

from content_schemas import MESSAGES, decoded
from langmeter import boundary, semconv
from langmeter.langchain import captured
from langmeter.langchain.blocks import content_parts
from langmeter.langchain.json_values import json_ready
from langmeter.langchain.messages import message, messages
from langmeter.settings import Settings
from langmeter.telemetry.content import ContentPolicy

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)
BASE64 = base64.b64encode(bytes(range(256)) * 3).decode()
PNG = {"type": "omitted_blob", "modality": "image", "mime_type": "image/png", "size": 768}
TEXT = {"type": "text", "content": "hi"}
CALL = {"type": "tool_call", "name": "f", "id": "c1", "arguments": {"a": 1}}
REASON = {"type": "reasoning", "content": "hm"}
RESPONSE = {"type": "tool_call_response", "id": "c1", "response": "21"}

# Name -> (content block, its part); None where there is nothing to show.
BLOCKS = {
    "a bare text": ("hi", TEXT),
    "an empty text": ("", None),
    "text": ({"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}, TEXT),
    "Responses input": ({"type": "input_text", "text": "hi"}, TEXT),
    "Responses output": ({"type": "output_text", "text": "hi", "annotations": [{"url": "x"}]}, TEXT),
    "v1 plain text": ({"type": "text-plain", "text": "hi", "mime_type": "text/plain"}, TEXT),
    "Bedrock text": ({"text": "hi"}, TEXT),
    "v1 plain text file": (
        {"type": "text-plain", "base64": BASE64, "mime_type": "text/plain"},
        {"type": "omitted_blob", "modality": "document", "mime_type": "text/plain", "size": 768},
    ),
    "refusal": ({"type": "refusal", "refusal": "no"}, {"type": "refusal", "content": "no"}),
    "Anthropic thinking": ({"type": "thinking", "thinking": "hm", "signature": "x" * 500}, REASON),
    "v1 reasoning": ({"type": "reasoning", "reasoning": "hm"}, REASON),
    "Mistral thinking": ({"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, REASON),
    "Responses reasoning": (
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]},
        REASON,
    ),
    "Bedrock reasoning": ({"type": "reasoning_content", "reasoning_content": {"text": "hm"}}, REASON),
    "hidden thinking": ({"type": "redacted_thinking", "data": "x" * 500}, {"type": "encrypted_reasoning"}),
    "encrypted reasoning": (
        {"type": "reasoning", "encrypted_content": "x", "summary": []},
        {"type": "encrypted_reasoning"},
    ),
    "empty reasoning": ({"type": "reasoning", "summary": []}, None),
    "Anthropic tool": ({"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}, CALL),
    "v1 tool": ({"type": "tool_call", "id": "c1", "name": "f", "args": {"a": 1}}, CALL),
    "Responses tool": (
        {"type": "function_call", "id": "fc", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
        CALL,
    ),
    "Bedrock tool": ({"toolUse": {"toolUseId": "c1", "name": "f", "input": {"a": 1}}}, CALL),
    "Anthropic tool result": ({"type": "tool_result", "tool_use_id": "c1", "content": "21"}, RESPONSE),
    "Responses tool result": ({"type": "function_call_output", "call_id": "c1", "output": "21"}, RESPONSE),
    "Bedrock tool result": (
        {"toolResult": {"toolUseId": "c1", "content": [{"text": "hi"}], "status": "success"}},
        {**RESPONSE, "response": [TEXT]},
    ),
    "a tool's broken arguments": (
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":'},
        {"type": "tool_call", "name": "f", "id": "c1", "unparsed_arguments": '{"a":'},
    ),
    "a tool without a name": ({"type": "tool_use", "id": "c1"}, None),
    "a piece of a call": ({"type": "input_json_delta", "partial_json": '{"a'}, None),
    "OpenAI image URL": (
        {"type": "image_url", "image_url": {"url": "https://u:p@x.test/a.png?sig=s#f", "detail": "low"}},
        {"type": "uri", "modality": "image", "uri": "https://x.test/a.png"},
    ),
    "an address that is none": (
        {"type": "image_url", "image_url": {"url": "https://[x/a.png"}},
        {"type": "omitted_blob", "modality": "image"},
    ),
    "an image URL as text": (
        {"type": "image_url", "image_url": "gs://bucket/a.png"},
        {"type": "uri", "modality": "image", "uri": "gs://bucket/a.png"},
    ),
    "OpenAI image data": ({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{BASE64}"}}, PNG),
    "Responses image data": ({"type": "input_image", "image_url": f"data:image/png;base64,{BASE64}"}, PNG),
    "Responses image id": (
        {"type": "input_image", "file_id": "file-1"},
        {"type": "file", "modality": "image", "file_id": "file-1"},
    ),
    "Ollama image": (
        {"type": "image_url", "image_url": BASE64},
        {"type": "omitted_blob", "modality": "image", "size": 768},
    ),
    "v1 image": ({"type": "image", "base64": BASE64, "mime_type": "image/png"}, PNG),
    "v1 image URL": (
        {"type": "image", "url": "https://x.test/a.png", "mime_type": "image/png"},
        {"type": "uri", "modality": "image", "uri": "https://x.test/a.png", "mime_type": "image/png"},
    ),
    "v0 image": ({"type": "image", "source_type": "base64", "data": BASE64, "mime_type": "image/png"}, PNG),
    "v0 file id": (
        {"type": "file", "source_type": "id", "id": "file-1"},
        {"type": "file", "modality": "document", "file_id": "file-1"},
    ),
    "v0 text file": ({"type": "file", "source_type": "text", "text": "hi"}, TEXT),
    "Anthropic image": (
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": BASE64}},
        PNG,
    ),
    "Anthropic document": (
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}},
        TEXT,
    ),
    "Anthropic pages": (
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "hi"}]}},
        TEXT,
    ),
    "Google media": (
        {"type": "media", "mime_type": "video/mp4", "file_uri": "gs://b/v.mp4"},
        {"type": "uri", "modality": "video", "uri": "gs://b/v.mp4", "mime_type": "video/mp4"},
    ),
    "Google data": ({"type": "media", "mime_type": "image/png", "data": BASE64}, PNG),
    "Bedrock image": ({"image": {"format": "png", "source": {"bytes": bytes(768)}}}, PNG),
    "OpenAI sound": (
        {"type": "input_audio", "input_audio": {"data": BASE64, "format": "wav"}},
        {"type": "omitted_blob", "modality": "audio", "mime_type": "audio/wav", "size": 768},
    ),
    "OpenAI file": (
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{BASE64}"}},
        {"type": "omitted_blob", "modality": "document", "mime_type": "application/pdf", "size": 768},
    ),
    "Anthropic server tool": (
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
        {
            "type": "server_tool_call",
            "name": "web_search",
            "id": "s1",
            "server_tool_call": {"type": "web_search", "input": {"query": "q"}},
        },
    ),
    "Responses server tool": (
        {"type": "web_search_call", "id": "s1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {
            "type": "server_tool_call",
            "name": "web_search",
            "id": "s1",
            "server_tool_call": {
                "type": "web_search",
                "status": "completed",
                "action": {"type": "search", "query": "q"},
            },
        },
    ),
    "Anthropic server result": (
        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"url": "u", "encrypted_content": "x"}]},
        {
            "type": "server_tool_call_response",
            "id": "s1",
            "server_tool_call_response": {"type": "web_search_tool_result", "content": [{"url": "u"}]},
        },
    ),
    "a generated image": (
        {"type": "image_generation_call", "id": "i", "result": BASE64},
        {"type": "omitted_blob", "modality": "image", "size": 768},
    ),
    "v1 non-standard": ({"type": "non_standard", "value": {"type": "text", "text": "hi"}}, TEXT),
    "a type that nobody knows": (
        {"type": "hologram", "depth": 3, "data": BASE64, "index": 0},
        {"type": "hologram", "depth": 3},
    ),
    "the name of a part of the conventions": ({"type": "tool_call_response"}, {"type": "unknown"}),
    "data in a part of the conventions": ({"type": "blob", "data": BASE64}, {"type": "unknown"}),
    "no type": ({"odd": 1}, {"type": "unknown", "odd": 1}),
    "a number": (7, None),
}


def policy(**settings):
    return ContentPolicy(Settings(content="span_and_event", **settings))


def written(content, **settings):
    return decoded(policy(**settings).span_attributes(content))


# -- the edge: parts and messages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("block", "part"), BLOCKS.values(), ids=BLOCKS)
def test_a_content_block_is_this_part(block, part):
    parts = content_parts([block])

    assert parts == ([] if part is None else [part])
    Draft7Validator(MESSAGES).validate([{"role": "user", "parts": parts}])


MESSAGE_CASES = {
    "user": (HumanMessage("hi", name="Ann"), {"role": "user", "parts": [TEXT], "name": "Ann"}),
    "system": (SystemMessage("hi"), {"role": "system", "parts": [TEXT]}),
    "own role": (ChatMessage("hi", role="critic"), {"role": "critic", "parts": [TEXT]}),
    "answer": (AIMessage("hi"), {"role": "assistant", "parts": [TEXT]}),
    "chunk": (AIMessageChunk("hi"), {"role": "assistant", "parts": [TEXT]}),
    "empty": (AIMessage(""), {"role": "assistant", "parts": []}),
    "calls and their blocks": (
        AIMessage(
            [{"type": "text", "text": "hi"}, {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}],
            tool_calls=[{"name": "f", "args": {"a": 1}, "id": "c1"}],
        ),
        {"role": "assistant", "parts": [TEXT, CALL]},
    ),
    "a broken call": (
        AIMessage(
            "", invalid_tool_calls=[{"name": "f", "args": "{", "id": "c1", "error": None, "type": "invalid_tool_call"}]
        ),
        {"role": "assistant", "parts": [{"type": "tool_call", "name": "f", "id": "c1", "unparsed_arguments": "{"}]},
    ),
    "legacy call": (
        AIMessage("", additional_kwargs={"function_call": {"name": "f", "arguments": '{"a": 1}'}}),
        {"role": "assistant", "parts": [{"type": "tool_call", "name": "f", "arguments": {"a": 1}}]},
    ),
    "reasoning apart": (
        AIMessage("hi", additional_kwargs={"reasoning_content": "hm"}),
        {"role": "assistant", "parts": [REASON, TEXT]},
    ),
    "refusal apart": (
        AIMessage("", additional_kwargs={"refusal": "no"}),
        {"role": "assistant", "parts": [{"type": "refusal", "content": "no"}]},
    ),
    "sound apart": (
        AIMessage("", additional_kwargs={"audio": {"id": "au", "data": BASE64, "transcript": "hi"}}),
        {
            "role": "assistant",
            "parts": [{"type": "omitted_blob", "modality": "audio", "size": 768, "transcript": "hi"}],
        },
    ),
    "result": (
        ToolMessage("21", tool_call_id="c1", name="f"),
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "21"}], "name": "f"},
    ),
    "result of blocks": (
        ToolMessage([{"type": "text", "text": "hi"}], tool_call_id="c1"),
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": [TEXT]}]},
    ),
    "function result": (
        FunctionMessage("21", name="f"),
        {"role": "tool", "parts": [{"type": "tool_call_response", "response": "21"}], "name": "f"},
    ),
    "a dictionary": ({"role": "user", "content": "hi"}, {"role": "user", "parts": [TEXT]}),
    "OpenAI's dictionary": (
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": '{"a":1}'}}],
        },
        {"role": "assistant", "parts": [CALL]},
    ),
    "a pair": (("human", "hi"), {"role": "user", "parts": [TEXT]}),
    "a removal": (RemoveMessage(id="1"), None),
    "no message": ({"answer": 1}, None),
    "a number": (7, None),
}


@pytest.mark.parametrize(("given", "expected"), MESSAGE_CASES.values(), ids=MESSAGE_CASES)
def test_a_message_is_this_object(given, expected):
    assert message(given) == expected
    if expected is not None:
        Draft7Validator(MESSAGES).validate([expected])


class Trap(dict):
    """A block whose code raises."""

    def get(self, *_):
        raise RuntimeError("secret")


def test_what_cannot_be_read_loses_only_itself():
    boundary.set_strict(False)
    broken = HumanMessage("x")
    broken.__dict__["content"] = [Trap(type="text"), {"type": "text", "text": "hi"}]

    assert messages([broken, HumanMessage("hi")]) == [{"role": "user", "parts": [TEXT]}] * 2


class Colour(Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    hidden: str = dataclasses.field(default="hush", repr=False)


class Model(BaseModel):
    name: str
    key: SecretStr
    shy: str = Field(default="hush", repr=False)


class Odd:
    def __repr__(self):
        return "hush at 0x7f"


def test_any_value_becomes_json_without_running_its_repr():
    loop = []
    loop.append(loop)
    given = {
        "set": {1},
        "tuple": (1, 2.5),
        "bytes": b"abc",
        "time": MOMENT,
        "id": UUID(int=1),
        "money": Decimal("1.50"),
        "enum": Colour.RED,
        "data": Point(1),
        "model": Model(name="n", key="hush"),
        "odd": Odd(),
        "class": Odd,
        "message": HumanMessage("hi", id="m1"),
        7: None,
        Odd(): True,
    }

    assert json_ready(given) == {
        "set": [1],
        "tuple": [1, 2.5],
        "bytes": "[3 bytes]",
        "time": str(MOMENT),
        "id": str(UUID(int=1)),
        "money": "1.50",
        "enum": "red",
        "data": {"x": 1},
        "model": {"name": "n", "key": "[redacted:secret]"},
        "odd": "<Odd>",
        "class": "<type>",
        "message": {"type": "human", "content": "hi"},
        "7": None,
        "<Odd>": True,
    }
    assert "hush" not in json.dumps(json_ready(given))
    assert json.dumps(json_ready(loop)).count("[") < 30
    assert len(json.dumps(json_ready([[0] * 1_000] * 1_000))) < 200_000


class Lazy:
    """An object that is loaded when it is looked at, and cannot be."""

    @property
    def __class__(self):
        raise RuntimeError("secret")


class Endless(set):
    """A set that runs code of its own, and does not stop."""

    def __iter__(self):
        return itertools.count()


class Unreadable(Mapping):
    """A mapping that cannot be read."""

    def __getitem__(self, key):
        raise RuntimeError("secret")

    def __iter__(self):
        raise RuntimeError("secret")

    def __len__(self):
        return 1


def test_objects_that_cannot_be_read_lose_only_themselves():
    assert json_ready({"a": 1, "lazy": Lazy(), "endless": Endless(), "shut": Unreadable()}) == {
        "a": 1,
        "lazy": "<Lazy>",
        "endless": list(range(512)),
        "shut": "<Unreadable>",
    }


# -- what is content -----------------------------------------------------------------------------------------------------


TOOL = {"type": "function", "function": {"name": "f", "description": "does", "parameters": {"type": "object"}}}
FULL = {"type": "function", "name": "f", "description": "does", "parameters": {"type": "object"}}
TOOL_SHAPES = {
    "OpenAI": TOOL,
    "Responses": {"type": "function", **TOOL["function"]},
    "Anthropic": {"name": "f", "description": "does", "input_schema": {"type": "object"}},
    "Bedrock": {"toolSpec": {"name": "f", "description": "does", "inputSchema": {"json": {"type": "object"}}}},
    "Google": {"function_declarations": [TOOL["function"]]},
}


@pytest.mark.parametrize("tool", TOOL_SHAPES.values(), ids=TOOL_SHAPES)
@pytest.mark.parametrize("how", ["names", "full"])
def test_tool_definitions_are_names_unless_more_is_asked_for(tool, how):
    content = captured.call_content([], {"tools": [tool]}, None, Settings(tool_definitions=how))
    row = FULL if how == "full" else {"type": "function", "name": "f"}
    assert content[semconv.TOOL_DEFINITIONS] == [row]


def test_a_providers_own_tool_has_its_type():
    content = captured.call_content([], {"tools": [{"type": "web_search"}]}, None, Settings())
    assert content[semconv.TOOL_DEFINITIONS] == [{"type": "web_search", "name": "web_search"}]


def test_a_tool_of_google_is_its_only_key():
    content = captured.call_content([], {"tools": [{"google_search": {}}]}, None, Settings())
    assert content[semconv.TOOL_DEFINITIONS] == [{"type": "google_search", "name": "google_search"}]


@pytest.mark.parametrize("key", ["instructions", "system", "system_instruction"])
def test_instructions_beside_the_messages(key):
    content = captured.call_content([HumanMessage("hi")], {key: "be kind"}, {"stop": None}, Settings())
    assert written(content) == {
        semconv.INPUT_MESSAGES: [{"role": "user", "parts": [TEXT]}],
        semconv.SYSTEM_INSTRUCTIONS: [{"type": "text", "content": "be kind"}],
    }


def test_every_choice_is_a_message_of_its_own():
    chat = LLMResult(generations=[[ChatGeneration(message=AIMessage("hi")), ChatGeneration(message=AIMessage("ho"))]])
    text = LLMResult(generations=[[Generation(text="hi")]])
    found = captured.answer_content(chat)[semconv.OUTPUT_MESSAGES]

    assert [part["content"] for choice in found for part in choice["parts"]] == ["hi", "ho"]
    assert captured.answer_content(text)[semconv.OUTPUT_MESSAGES] == [{"role": "assistant", "parts": [TEXT]}]
    assert captured.answer_content(LLMResult(generations=[])) == captured.answer_content(None) == {}


ARGUMENTS, RESULT = semconv.TOOL_CALL_ARGUMENTS, semconv.TOOL_CALL_RESULT
LONG_JSON = json.dumps({"a": ["x y"] * 50_000})
STEP_CASES = {
    "arguments": (captured.tool_call_content({"a": 1}, "{'a': 1}"), {ARGUMENTS: {"a": 1}}),
    "arguments as JSON text": (captured.tool_call_content(None, '{"a": 1}'), {ARGUMENTS: {"a": 1}}),
    "arguments as text": (captured.tool_call_content(None, "a"), {ARGUMENTS: {"input": "a"}}),
    "arguments that cannot be read": (
        captured.tool_call_content(Unreadable(), ""),
        {ARGUMENTS: {"input": "<Unreadable>"}},
    ),
    "no arguments": (captured.tool_call_content(None, ""), {}),
    "result": (captured.tool_result_content({"a": 1}), {RESULT: {"a": 1}}),
    "result as JSON text": (captured.tool_result_content('{"a": 1}'), {RESULT: {"a": 1}}),
    "result as text": (captured.tool_result_content("a"), {RESULT: {"output": "a"}}),
    "result as message": (captured.tool_result_content(ToolMessage("a", tool_call_id="c")), {RESULT: {"output": "a"}}),
    "result that looks like a message": (
        captured.tool_result_content({"type": "page", "content": "a", "number": 3}),
        {RESULT: {"type": "page", "content": "a", "number": 3}},
    ),
    "result of megabytes": (
        captured.tool_result_content(LONG_JSON),
        {RESULT: {"output": f"{LONG_JSON[:16_384]}…[{len(LONG_JSON)} characters]"}},
    ),
    "command": (
        captured.tool_result_content(Command(goto="n", update={"a": 1})),
        {RESULT: {"update": {"a": 1}, "goto": "n"}},
    ),
    "no result": (captured.tool_result_content(None), {}),
    "documents": (
        captured.documents_content([Document("text", id="d1", metadata={"score": 1}), Document("text")]),
        {semconv.RETRIEVAL_DOCUMENTS: [{"id": "d1", "score": 1.0}, {}]},
    ),
    "NumPy's scores": (
        captured.documents_content([Document("t", metadata={"score": s}) for s in (np.float32(0.5), float("nan"))]),
        {semconv.RETRIEVAL_DOCUMENTS: [{"score": 0.5}, {}]},
    ),
    "memory": (
        captured.memory_records_content(
            [Item(value={"a": 1}, key="k", namespace=("n",), created_at=MOMENT, updated_at=MOMENT)]
        ),
        {semconv.MEMORY_RECORDS: [{"content": {"a": 1}, "id": "k"}]},
    ),
    "no documents": (captured.documents_content([]), {}),
    "messages of a state": (
        captured.chain_content({"messages": [HumanMessage("hi")], "other": 1}),
        {semconv.INPUT_MESSAGES: [{"role": "user", "parts": [TEXT]}]},
    ),
    "a state without messages": (
        captured.chain_content({"question": "q", "password": "p"}),
        {
            semconv.INPUT_MESSAGES: [
                {
                    "role": "user",
                    "parts": [{"type": "text", "content": '{"question":"q","password":"[redacted:password]"}'}],
                }
            ]
        },
    ),
    "a text": (captured.chain_content("hi"), {semconv.INPUT_MESSAGES: [{"role": "user", "parts": [TEXT]}]}),
    "nothing": (captured.chain_content(None), {}),
    "an array as answer": (
        captured.chain_answer_content(np.array([1, 2])),
        {semconv.OUTPUT_MESSAGES: [{"role": "assistant", "parts": [{"type": "text", "content": "<ndarray>"}]}]},
    ),
    "pairs of other things as answer": (
        captured.chain_answer_content([("a", 1), ("b", 2)]),
        {semconv.OUTPUT_MESSAGES: [{"role": "assistant", "parts": [{"type": "text", "content": '[["a",1],["b",2]]'}]}]},
    ),
    "the newest message of a state": (
        captured.chain_answer_content({"messages": [HumanMessage("q"), AIMessage("hi")]}),
        {semconv.OUTPUT_MESSAGES: [{"role": "assistant", "parts": [TEXT]}]},
    ),
    "a message": (
        captured.chain_answer_content(AIMessage("hi")),
        {semconv.OUTPUT_MESSAGES: [{"role": "assistant", "parts": [TEXT]}]},
    ),
    "no answer yet": (captured.chain_answer_content({"messages": [HumanMessage("q")]}), {}),
    "the first of very many variables": (
        captured.prompt_variables_content({f"k{n}": "v" for n in range(1_000)}),
        {f"{semconv.PROMPT_VARIABLE_PREFIX}k{n}": "v" for n in range(32)},
    ),
    "names of variables": (
        captured.prompt_variables_content({"sk-abcdefghij1234567890": "v", "\ud800": "v", "n" * 300: "v"}),
        {f"{semconv.PROMPT_VARIABLE_PREFIX}{name}": "v" for name in ("[redacted:key]", "?")},
    ),
    "variables": (
        captured.prompt_variables_content({"q": "why", "api_key": "abc", "n": [1]}),
        {
            f"{semconv.PROMPT_VARIABLE_PREFIX}{name}": text
            for name, text in {"q": "why", "api_key": "[redacted:password]", "n": "[1]"}.items()
        },
    ),
}


@pytest.mark.parametrize(("content", "expected"), STEP_CASES.values(), ids=STEP_CASES)
def test_the_content_of_a_step_is_written_as(content, expected):
    assert written(content) == expected


# -- what is written -----------------------------------------------------------------------------------------------------


def test_off_unless_asked_for():
    modes = {mode: ContentPolicy(Settings(content=mode)) for mode in ("off", "span", "event", "span_and_event")}
    assert {mode: (made.on_spans, made.on_events, made.active) for mode, made in modes.items()} == {
        "off": (False, False, False),
        "span": (True, False, True),
        "event": (False, True, True),
        "span_and_event": (True, True, True),
    }


def test_compact_text_on_spans_and_structure_on_events():
    content = {semconv.INPUT_MESSAGES: messages("grüße"), semconv.RETRIEVAL_QUERY_TEXT: "q"}
    structured = [{"role": "user", "parts": [{"type": "text", "content": "grüße"}]}]

    assert policy().event_attributes(content) == {semconv.INPUT_MESSAGES: structured, semconv.RETRIEVAL_QUERY_TEXT: "q"}
    assert policy().span_attributes(content) == {
        semconv.INPUT_MESSAGES: '[{"role":"user","parts":[{"type":"text","content":"grüße"}]}]',
        semconv.RETRIEVAL_QUERY_TEXT: "q",
    }


HOOKS = {
    "upper case": str.upper,
    "nothing": lambda _: "",
    "quotes and braces": lambda _: '"}]\\',
    "much": lambda text: text * 100_000,
    "raises": lambda _: 1 / 0,
    "no text": lambda _: None,
}
EVERYTHING = {
    semconv.INPUT_MESSAGES: [read for given, _ in MESSAGE_CASES.values() if (read := message(given))]
    + [{"role": "user", "parts": content_parts([block for block, _ in BLOCKS.values()])}],
    semconv.OUTPUT_MESSAGES: messages(AIMessage("hi")),
    semconv.SYSTEM_INSTRUCTIONS: [TEXT],
    semconv.TOOL_DEFINITIONS: [FULL],
    semconv.TOOL_CALL_ARGUMENTS: {"a": {"b": [1, None, True, "x"]}},
    semconv.RETRIEVAL_DOCUMENTS: [{"id": "d1", "score": 0.5}],
}


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
def test_the_structure_stays_whatever_the_hook_returns(hook):
    boundary.set_strict(False)
    found = written(EVERYTHING, redact=hook)

    assert set(found) == set(EVERYTHING)
    assert [part["type"] for part in found[semconv.INPUT_MESSAGES][0]["parts"]] == ["text"]
    assert found[semconv.INPUT_MESSAGES][0]["role"] == "user"


@pytest.mark.parametrize(
    "hook", [HOOKS["raises"], HOOKS["no text"], HOOKS["nothing"]], ids=["raises", "no text", "nothing"]
)
def test_a_failing_hook_leaks_nothing(hook):
    boundary.set_strict(False)
    text = "only the hook knows that Sesame is secret"
    content = {
        semconv.INPUT_MESSAGES: [
            {"role": "Sesame", "name": "Sesame", "parts": [{"type": "Sesame", "content": text, "Sesame": 1}]}
        ],
        semconv.TOOL_CALL_ARGUMENTS: {"Sesame": {"x": ["Sesame"]}},
        semconv.RETRIEVAL_QUERY_TEXT: text,
        f"{semconv.PROMPT_VARIABLE_PREFIX}q": text,
    }
    shown = policy(redact=hook).span_attributes(content)
    assert [text for text in shown.values() if "Sesame" in text] == []


def test_secrets_go_by_pattern_by_name_and_as_numbers():
    content = {
        semconv.TOOL_CALL_ARGUMENTS: {
            "password": "swordfish",
            "nested": [{"Authorization": ["abc"], "pin": 1234, "token": 99}],
            "card": 4111111111111111,
            "order": 4111111111111112,
            "mail": "a@b.io",
            "a@b.io": 1,
        }
    }
    assert written(content)[semconv.TOOL_CALL_ARGUMENTS] == {
        "password": "[redacted:password]",
        "nested": [{"Authorization": ["[redacted:password]"], "pin": 1234, "token": "[redacted:password]"}],
        "card": "[redacted:card]",
        "order": 4111111111111112,
        "mail": "[redacted:email]",
        "[redacted:email]": 1,
    }


def test_secrets_deep_inside_of_what_is_named_so():
    content = {
        semconv.TOOL_CALL_ARGUMENTS: {
            "credentials": {"user": "ann", "data": [{"value": "swordfish", "on": True}]},
            "env": [{"name": "DB_PASSWORD", "value": "swordfish"}, {"name": "HOME", "value": "/root"}],
            "headers": [{"key": "x-api-key", "value": "swordfish"}],
            "card": 4111111111111111.0,
            "order": 4111111111111112.0,
        }
    }
    hidden = "[redacted:password]"
    assert written(content)[semconv.TOOL_CALL_ARGUMENTS] == {
        "credentials": {"user": hidden, "data": [{"value": hidden, "on": True}]},
        "env": [{"name": "DB_PASSWORD", "value": hidden}, {"name": "HOME", "value": "/root"}],
        "headers": [{"key": "x-api-key", "value": hidden}],
        "card": "[redacted:card]",
        "order": 4111111111111112.0,
    }


def test_a_schema_that_names_a_password_keeps_its_structure():
    parameters = {"type": "object", "properties": {"password": {"type": "string"}}, "required": ["password"]}
    found = written({semconv.TOOL_DEFINITIONS: [{**FULL, "parameters": parameters}]})
    assert found[semconv.TOOL_DEFINITIONS][0]["parameters"] == parameters


NUMBERS = {"nan": float("nan"), "inf": float("-inf"), "huge": 10**5_000, "int64": 2**63 - 1, "beyond": 2**63, "f": 1.5}


def test_numbers_that_json_or_otlp_cannot_hold_become_texts():
    assert written({semconv.TOOL_CALL_ARGUMENTS: NUMBERS})[semconv.TOOL_CALL_ARGUMENTS] == {
        "nan": "nan",
        "inf": "-inf",
        "huge": "<16610-bit integer>",
        "int64": 2**63 - 1,
        "beyond": "<64-bit integer>",
        "f": 1.5,
    }


def test_otlp_can_encode_every_event():
    from opentelemetry.exporter.otlp.proto.common._internal import _encode_value

    boundary.set_strict(False)
    odd = {"a": [None, {}, [], {"x": None}], "\ud800": "\ud800", **NUMBERS}
    for value in policy().event_attributes({**EVERYTHING, semconv.TOOL_CALL_RESULT: odd}).values():
        assert _encode_value(value).SerializeToString()


# -- sizes ---------------------------------------------------------------------------------------------------------------


def test_a_long_history_keeps_its_first_message_and_its_newest():
    given = messages([SystemMessage("first"), *[HumanMessage(f"number {n}") for n in range(999)], AIMessage("last")])
    found = written({semconv.INPUT_MESSAGES: given})[semconv.INPUT_MESSAGES]

    assert len(found) == 257
    assert found[0]["parts"][0]["content"] == "first"
    assert found[1] == {"role": "omitted", "parts": [{"type": "omitted", "count": 745}]}
    assert [sent["parts"][0]["content"] for sent in found[2:4]] == ["number 745", "number 746"]
    assert found[-1]["parts"][0]["content"] == "last"


def test_of_a_very_long_history_only_as_much_is_read_as_may_be_kept():
    class Counted(dict):
        reads = 0

        def get(self, key, default=None):
            Counted.reads += key == "type"
            return super().get(key, default)

    blocks = [Counted(type="text", text="hi")]
    given = messages([{"role": "user", "content": blocks} for _ in range(10_000)])
    found = written({semconv.INPUT_MESSAGES: given})[semconv.INPUT_MESSAGES]
    parts = written({semconv.INPUT_MESSAGES: messages({"role": "user", "content": blocks * 10_000})})

    assert Counted.reads == 2 * 512
    assert found[1] == {"role": "omitted", "parts": [{"type": "omitted", "count": 10_000 - 256}]}
    assert (len(found), found[0], found[-1]) == (257, *[{"role": "user", "parts": [TEXT]}] * 2)
    assert parts[semconv.INPUT_MESSAGES][0]["parts"] == [*[TEXT] * 256, {"type": "omitted", "count": 10_000 - 256}]


def test_what_has_no_room_any_more_is_not_redacted_either():
    seen = []
    block = {"type": "odd", **{f"k{n}": "z " * 10_000 for n in range(300)}}
    for given in ([block] * 200, ["aB3/" * 5_000] * 200, ["x" * 20_000] * 200):
        seen.clear()
        found = written(
            {semconv.INPUT_MESSAGES: messages(HumanMessage(given))}, redact=lambda text: seen.append(len(text)) or text
        )
        (shown,) = found[semconv.INPUT_MESSAGES]
        assert shown["parts"][-1]["type"] == "omitted"
        assert len(shown["parts"]) - 1 + shown["parts"][-1]["count"] == 200
        assert sum(seen) < 1_200_000


def test_all_texts_together_are_bounded_and_the_answer_comes_first():
    given = messages([HumanMessage("z" * 16_000) for _ in range(100)])
    shown = policy().span_attributes(
        {semconv.INPUT_MESSAGES: given, semconv.OUTPUT_MESSAGES: messages(AIMessage("y" * 9_000))}
    )

    assert "y" * 9_000 in shown[semconv.OUTPUT_MESSAGES]
    assert sum(map(len, shown.values())) < 300_000
    assert decoded(shown)[semconv.INPUT_MESSAGES][1]["parts"] == [{"type": "omitted", "count": 84}]


HUGE = {
    "a wide list": list(range(1_000_000)),
    "a wide object": {f"k{n}": n for n in range(100_000)},
    "a deep list": None,
    "many texts": ["x" * 1_000] * 10_000,
    "an image in a field": {"image": BASE64 * 10_000},
    "bytes": bytes(10_000_000),
}


@pytest.mark.parametrize("value", HUGE.values(), ids=HUGE)
def test_no_value_makes_megabytes(value):
    if value is None:
        value = []
        for _ in range(100_000):
            value = [value]
    found = captured.tool_call_content({"x": value}, "")
    assert len(policy().span_attributes(found)[semconv.TOOL_CALL_ARGUMENTS]) < 300_000


def test_ten_megabytes_of_images_are_references():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + BASE64 * 1_000}}
    given = messages([HumanMessage([{"type": "text", "text": "hi"}, *[image] * 10])])
    found = written({semconv.INPUT_MESSAGES: given})[semconv.INPUT_MESSAGES]

    assert found[0]["parts"] == [TEXT, *[{**PNG, "size": 768_000}] * 10]

"""What the demo's provider answers, as a pure function of the question and the seed."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from langmeter.demo import shop

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4
_REASONING_STEP = 64
_WRITTEN = dict(shop.FREQUENT_QUESTIONS)


class Model(NamedTuple):
    """How the demo's provider runs one model."""

    release: str
    """The dated name that answers carry."""
    first_token: float
    """Seconds until the first token."""
    tokens_per_second: float
    context: int = 128_000
    reasons: bool = False


MODELS: Mapping[str, Model] = {
    "gpt-4o": Model("gpt-4o-2024-08-06", 0.08, 510),
    "gpt-4o-mini": Model("gpt-4o-mini-2024-07-18", 0.04, 700),
    "gpt-4.1": Model("gpt-4.1-2025-04-14", 0.08, 490),
    "gpt-4.1-mini": Model("gpt-4.1-mini-2025-04-14", 0.04, 760),
    "gpt-5-mini": Model("gpt-5-mini-2025-08-07", 0.06, 1300, reasons=True),
    "o4-mini": Model("o4-mini-2025-04-16", 0.07, 1510, reasons=True),
    "gpt-3.5-turbo-instruct": Model("gpt-3.5-turbo-instruct", 0.03, 860, context=4_096),
    "pedal-7b": Model("pedal-7b", 0.02, 380),
}


class Tool(NamedTuple):
    """A function that the model may ask for."""

    name: str
    parameters: Mapping[str, Any]


class Question(NamedTuple):
    """A request without the form that one of the APIs gives it."""

    model: str
    system: str
    messages: tuple[str, ...]
    """The texts of the conversation after the system prompt, oldest first."""
    tools: tuple[Tool, ...] = ()
    tool_results: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    max_tokens: int | None = None

    @property
    def text(self) -> str:
        """What is asked: the last message that is not a tool's result."""
        spoken = [message for message in self.messages if message not in self.tool_results]
        return spoken[-1] if spoken else ""

    @property
    def input_tokens(self) -> int:
        """All that the model has to read."""
        texts = [self.system, *self.messages] if self.system else list(self.messages)
        definitions = sum(tokens(tool.name + json.dumps(tool.parameters)) for tool in self.tools)
        schema = tokens(json.dumps(self.schema)) if self.schema else 0
        return sum(tokens(text) + _TOKENS_PER_MESSAGE for text in texts) + definitions + schema


class Reply(NamedTuple):
    """What the model says: a text, or a call of a tool."""

    text: str
    output_tokens: int
    """Reasoning included."""
    reasoning_tokens: int = 0
    tool: str | None = None
    """Name of the tool to call; `text` then holds its arguments as JSON."""
    finish_reason: str = "stop"


def tokens(text: str) -> int:
    """Tokens of a text by a rule of thumb; the demo needs figures that agree with one another, not a real tokenizer."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def draw(seed: int, *parts: str) -> int:
    """A number that depends on nothing but its arguments: no run, thread or hash seed changes it."""
    return int.from_bytes(hashlib.blake2b(repr((seed, parts)).encode(), digest_size=4).digest())


def compose(question: Question, seed: int) -> Reply:
    """The answer to one question."""
    reasoning = _reasoning_tokens(question, seed)
    if question.tools and not question.tool_results:
        tool = question.tools[draw(seed, question.text, "tool") % len(question.tools)]
        arguments = json.dumps(_example(tool.parameters, "", question.text, tool.parameters))
        return Reply(arguments, tokens(tool.name + arguments) + reasoning, reasoning, tool.name, "tool_calls")
    if question.schema:
        text = json.dumps(_example(question.schema, "", question.text, question.schema))
    else:
        text = _prose(question, seed)
    return _shortened(text, reasoning, question.max_tokens)


def _shortened(text: str, reasoning: int, limit: int | None) -> Reply:
    room = None if limit is None else max(limit - reasoning, 0)
    if room is None or tokens(text) <= room:
        return Reply(text, tokens(text) + reasoning, reasoning)
    return Reply(text[: room * _CHARACTERS_PER_TOKEN], room + reasoning, reasoning, finish_reason="length")


def _reasoning_tokens(question: Question, seed: int) -> int:
    model = MODELS[question.model]
    return _REASONING_STEP * (2 + draw(seed, question.model, question.text) % 5) if model.reasons else 0


def _prose(question: Question, seed: int) -> str:
    if question.text in _WRITTEN:
        return _WRITTEN[question.text]
    opening = f"{question.tool_results[-1]} " if question.tool_results else ""
    first = draw(seed, question.text, "prose")
    length = 3 + first % 3
    sentences = [shop.STOCK_SENTENCES[(first + step) % len(shop.STOCK_SENTENCES)] for step in range(length)]
    return opening + " ".join(sentences)


def _example(schema: Mapping[str, Any], name: str, text: str, root: Mapping[str, Any]) -> Any:
    """A value that fits a JSON schema and, where words allow it, the text."""
    if "$ref" in schema:
        return _example(root["$defs"][schema["$ref"].rpartition("/")[2]], name, text, root)
    if "enum" in schema:
        return next((value for value in schema["enum"] if str(value).lower() in text.lower()), schema["enum"][-1])
    kind = schema.get("type", "string")
    if kind == "object":
        return {key: _example(part, key, text, root) for key, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [_example(schema.get("items", {}), name, text, root)]
    return {"integer": schema.get("minimum", 1), "boolean": "!" in text}.get(kind, _words(name, text))


def _words(name: str, text: str) -> str:
    """A text for a field: the order number where the field asks for one, else the beginning of the text."""
    number = re.search(r"\d{4}", text)
    return number.group() if number and "order" in name else " ".join(text.split()[:9]).rstrip(".,")

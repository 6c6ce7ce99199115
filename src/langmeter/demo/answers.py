"""What the demo's provider answers, as a pure function of the question and the seed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from langmeter.demo import shop
from langmeter.demo.examples import example

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4
_REASONING_STEP = 64
_CALLS_AT_ONCE = 2
_TELLING_WORD = 5
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
    embeds: bool = False
    """Whether it turns texts into vectors; `tokens_per_second` is then how fast it reads."""


MODELS: Mapping[str, Model] = {
    "gpt-4o": Model("gpt-4o-2024-08-06", 0.06, 700),
    "gpt-4o-mini": Model("gpt-4o-mini-2024-07-18", 0.03, 1000),
    "gpt-4.1": Model("gpt-4.1-2025-04-14", 0.06, 680),
    "gpt-4.1-mini": Model("gpt-4.1-mini-2025-04-14", 0.03, 1050),
    "gpt-5-mini": Model("gpt-5-mini-2025-08-07", 0.05, 1800, reasons=True),
    "o4-mini": Model("o4-mini-2025-04-16", 0.05, 2100, reasons=True),
    "gpt-3.5-turbo-instruct": Model("gpt-3.5-turbo-instruct", 0.02, 1200, context=4_096),
    "pedal-7b": Model("pedal-7b", 0.02, 500),
    "text-embedding-3-small": Model("text-embedding-3-small", 0.02, 40_000, context=8_191, embeds=True),
}


class Tool(NamedTuple):
    """A function that the model may ask for."""

    name: str
    parameters: Mapping[str, Any]


class ToolCall(NamedTuple):
    """A function that the model asks for, with its arguments as JSON."""

    name: str
    arguments: str


class Question(NamedTuple):
    """A request without the form that one of the APIs gives it."""

    model: str
    system: str
    messages: tuple[str, ...]
    """The texts of the conversation after the system prompt, oldest first."""
    text: str
    """What is asked: the user's last message."""
    tools: tuple[Tool, ...] = ()
    tool_results: tuple[str, ...] = ()
    """Those since the user's last message."""
    called: tuple[str, ...] = ()
    """Names of the tools that were asked for since the user's last message."""
    forced: str | None = None
    """The tool that the model has to call."""
    parallel: bool = True
    """Whether it may call several at once."""
    schema: Mapping[str, Any] | None = None
    max_tokens: int | None = None

    @property
    def input_tokens(self) -> int:
        """All that the model has to read."""
        texts = [self.system, *self.messages] if self.system else list(self.messages)
        definitions = sum(tokens(tool.name + json.dumps(tool.parameters)) for tool in self.tools)
        schema = tokens(json.dumps(self.schema)) if self.schema else 0
        return sum(tokens(text) + _TOKENS_PER_MESSAGE for text in texts) + definitions + schema


class Reply(NamedTuple):
    """What the model says: a text, or calls of tools."""

    text: str
    output_tokens: int
    """Reasoning included."""
    reasoning_tokens: int = 0
    calls: tuple[ToolCall, ...] = ()
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
    calls = tuple(_call(tool, question.text) for tool in _wanted(question))
    if calls:
        size = sum(tokens(call.name + call.arguments) for call in calls)
        return Reply("", size + reasoning, reasoning, calls, "tool_calls")
    text = json.dumps(example(question.schema, question.text)) if question.schema else _prose(question, seed)
    return _shortened(text, reasoning, question.max_tokens)


def _wanted(question: Question) -> tuple[Tool, ...]:
    """The tools to call next: those not called yet whose name has a word of the question, a few at a time."""
    left = [tool for tool in question.tools if tool.name not in question.called]
    if question.forced is not None:
        return tuple(tool for tool in left if tool.name == question.forced)
    fitting = [tool for tool in left if _fits(tool.name, question.text.lower())]
    return tuple(fitting[: _CALLS_AT_ONCE if question.parallel else 1])


def _fits(tool: str, text: str) -> bool:
    return any(word in text for word in tool.split("_") if len(word) >= _TELLING_WORD)


def _call(tool: Tool, text: str) -> ToolCall:
    return ToolCall(tool.name, json.dumps(example(tool.parameters, text)))


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
    found = [result.partition(".")[0] for result in question.tool_results]
    first = draw(seed, question.text, "prose")
    length = 1 if found else 3 + first % 3
    sentences = [shop.STOCK_SENTENCES[(first + step) % len(shop.STOCK_SENTENCES)] for step in range(length)]
    return " ".join([*(f"{result}." for result in found), *sentences])

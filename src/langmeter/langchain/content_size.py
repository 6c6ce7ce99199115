"""The prompt of a call, held from its start to its end, and how much text it and the answer have.

References only, no copies: what LangChain holds anyway. They are dropped when the call ends, or once the worker has looked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from langmeter.pricing.content_size import ContentSize, Gathering, prompt_size

_SCHEMA_KEYS: Final = ("tools", "functions", "response_format", "text", "format", "output_format")
"""Invocation parameters that are sent as part of the prompt."""
_FEW_MESSAGES: Final = 8
_SHORT: Final = 16_384
"""Characters that are looked at in a few microseconds even if none of them is ASCII."""


class CallContent:
    """What an estimate of one call is made from."""

    __slots__ = ("_messages", "_parameters", "arriving", "shares_usage")

    def __init__(self, messages: Any, parameters: Any, *, shares_usage: bool = False) -> None:
        self._messages = messages
        self._parameters = parameters
        self.arriving: Any = None
        """What gathers the answer of a version 3 stream: LangChain does not hand on what a dropped one had received."""
        self.shares_usage = shares_usage
        """True for the first prompt of a text-model batch, which carries the usage of them all."""

    def is_small(self, answer: Any) -> bool:
        """Whether measuring takes a few microseconds only."""
        messages = self._messages if isinstance(self._messages, list) else [self._messages]
        if len(messages) > _FEW_MESSAGES or self._schemas():
            return False
        for message in messages:
            if _is_long(message if isinstance(message, str) else getattr(message, "content", None)):
                return False
        for choice in _choices(answer):
            message = getattr(choice, "message", choice)
            if _is_long(getattr(message, "content", None) or getattr(choice, "text", None)):
                return False
        return True

    def prompt(self) -> ContentSize | None:
        """The size of the prompt; None if it cannot be told."""
        return prompt_size(self._messages, self._schemas())

    def answer(self, answer: Any) -> ContentSize | None:
        """The size of all choices of the answer together; None if it holds sound or came in a way that hides it."""
        return self._gathered(answer).size()

    def sample(self, answer: Any, characters: int) -> list[str]:
        """At most so many characters of the text of both."""
        gathering = self._gathered(answer)
        gathering.add_messages(self._messages)
        texts = []
        for text in gathering.texts:
            texts.append(text[:characters])
            characters -= len(texts[-1])
        return [text for text in texts if text]

    def _gathered(self, answer: Any) -> Gathering:
        gathering = Gathering()
        for choice in _choices(answer):
            message = getattr(choice, "message", None)
            gathering.add_answer(getattr(choice, "text", "") if message is None else message)
        if answer is None and self.arriving is not None:
            _add_arrived(gathering, self.arriving)
        return gathering

    def _schemas(self) -> list[Any]:
        parameters = self._parameters
        if type(parameters) is not dict:
            return []
        found = [parameters[key] for key in _SCHEMA_KEYS if key in parameters]
        return [schema for schema in found if schema and isinstance(schema, list | tuple | Mapping)] if found else found


def _choices(answer: Any) -> list[Any]:
    """The choices of an `LLMResult` of one prompt, or of a `ChatResult`."""
    generations = getattr(answer, "generations", None)
    if not isinstance(generations, list) or not generations:
        return []
    return generations[0] if isinstance(generations[0], list) else generations


def _add_arrived(gathering: Gathering, stream: Any) -> None:
    """What a version 3 stream has received so far. Private names, each optional: without one, less is counted."""
    for name in ("_text_acc", "_reasoning_acc"):
        text = getattr(stream, name, None)
        if isinstance(text, str) and text:
            gathering.add_answer(text)
    calls = getattr(stream, "_tool_call_chunks", None)
    if isinstance(calls, dict) and calls:
        gathering.add_answer({"content": "", "tool_calls": list(calls.values())})


def _is_long(content: Any) -> bool:
    """Whether there is more to measure than a short text; ASCII is measured by its length alone."""
    return not isinstance(content, str) or (len(content) > _SHORT and not content.isascii())

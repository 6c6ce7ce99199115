"""How much there is to tokenize in messages, whatever they are made of: LangChain's, dictionaries, tuples or bare text.

Read by shape, so that no message class is imported. Nothing of the content is kept: what comes out is a handful of numbers.
No attribute with code behind it is touched, and nothing is decoded or fetched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from langmeter.pricing.scripts import ScriptTokens, script_tokens

_FRAME: Final = 4.0
"""Tokens that mark a message, or a tool call in one."""
_IMAGE: Final = 765
"""Tokens of an image of unknown size: what OpenAI publishes for 1,024 by 1,024 pixels. Providers range from 85 to 1,600."""
_IMAGE_IN_LOW_DETAIL: Final = 85
"""What OpenAI publishes for `detail: low`, whatever the size."""
_DEPTH: Final = 8
_SCHEMAS: Final = 16
"""Tool schemas looked at; where there are more, the rest is taken to be like them."""

_IMAGE_TYPES: Final = frozenset({"image", "image_url", "input_image"})
_CALL_TYPES: Final = frozenset({"tool_use", "tool_call", "tool_call_chunk", "function_call", "custom_tool_call"})
_REASONING_TYPES: Final = frozenset({"reasoning", "reasoning_content", "thinking"})
_OPAQUE_TYPES: Final = frozenset(
    {"audio", "input_audio", "video", "file", "input_file", "media", "document", "container_upload"}
)
_NOT_TEXT: Final = frozenset(
    {
        "annotations",
        "base64",
        "cache_control",
        "call_id",
        "citations",
        "data",
        "encrypted_content",
        "extras",
        "id",
        "index",
        "signature",
        "status",
        "tool_call_id",
        "tool_use_id",
        "type",
        "url",
    }
)


class ContentSize(NamedTuple):
    """The size of some content in tokens, as estimated before any calibration."""

    scripts: ScriptTokens = ScriptTokens()
    """Of its texts, by script class."""
    framing: float = 0.0
    """What marks messages and tool calls as such."""
    image_tokens: int = 0
    """A flat figure for each image, which no calibration makes better."""
    has_schemas: bool = False
    """Whether tools or an output format came with it: providers add instructions of their own to those."""
    shows_reasoning: bool = False
    """Whether it holds the model's reasoning, so that none has to be added."""

    @property
    def raw(self) -> float:
        """Everything but the images."""
        return sum(self.scripts) + self.framing


class Gathering:
    """Collects what is to be measured, then measures all of it at once."""

    __slots__ = ("_framing", "_images", "_measurable", "_reasons", "_schemas", "texts")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._framing = 0.0
        self._images = 0
        self._measurable = True
        self._reasons = self._schemas = False

    def size(self) -> ContentSize | None:
        """The size of what was added; None if it holds something whose size nothing tells: sound, films, files."""
        if not self._measurable:
            return None
        scripts = script_tokens(self.texts)
        return ContentSize(scripts, self._framing, self._images, self._schemas, self._reasons)

    def add_messages(self, messages: object) -> None:
        """Add a prompt: one text, one message or a list of them.

        Raises:
            TypeError: an item has neither text nor content; the message names its position.
        """
        if isinstance(messages, str):
            self.texts.append(messages)
            return
        items = messages if isinstance(messages, list | tuple) and not _is_pair(messages) else [messages]
        self._framing += _FRAME * len(items)
        for position, message in enumerate(items):
            text = _only_text(message)
            if text is not None:
                self.texts.append(text)
            elif not self._add_message(message):
                raise TypeError(
                    f"item {position} of the messages is a {type(message).__name__} without content: give a text, messages "
                    "of LangChain, mappings with 'role' and 'content', or (role, text) pairs"
                )

    def add_answer(self, message: object) -> None:
        """Add what a model answered: a message, or its text."""
        self._add_message(message)

    def add_schemas(self, schemas: object) -> None:
        """Add tool definitions or an output format, as the JSON that they are sent as."""
        self._schemas = True
        if not isinstance(schemas, list | tuple):
            self.texts.append(_json(schemas))
            return
        seen = [_json(schema) for schema in schemas[:_SCHEMAS]]
        self.texts.extend(seen)
        if len(schemas) > _SCHEMAS:
            self._framing += sum(script_tokens(seen)) * (len(schemas) / _SCHEMAS - 1)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _add_message(self, message: object) -> bool:
        """Whether it was a message at all."""
        if isinstance(message, str):
            self.texts.append(message)
            return True
        if _is_pair(message):
            self._add_content(message[1], calls_apart=False)  # type: ignore[index]  # a pair
            return True
        fields = _fields(message)
        if "content" not in fields:
            return False
        calls = fields.get("tool_call_chunks") or fields.get("tool_calls")
        self._add_content(fields["content"], calls_apart=bool(calls))
        for call in calls if isinstance(calls, list | tuple) else ():
            self._framing += _FRAME
            self._add_call(call)
        extra = fields.get("additional_kwargs")
        if extra:
            self._add_extra(extra, calls_apart=bool(calls))
        return True

    def _add_extra(self, extra: object, *, calls_apart: bool) -> None:
        """Parts of an answer that some integrations keep outside its content."""
        if not isinstance(extra, Mapping):
            return
        reasoning, refusal = extra.get("reasoning_content"), extra.get("refusal")
        if isinstance(reasoning, str) and reasoning:
            self._reasons = True
            self.texts.append(reasoning)
        if isinstance(refusal, str):
            self.texts.append(refusal)
        if not calls_apart and isinstance(extra.get("function_call"), Mapping):
            self._framing += _FRAME
            self._add_call(extra["function_call"])

    def _add_call(self, call: object) -> None:
        if not isinstance(call, Mapping):
            return
        inner = call.get("function")  # the form of OpenAI's API
        called = inner if isinstance(inner, Mapping) else call
        if isinstance(called.get("name"), str):
            self.texts.append(called["name"])
        arguments = called.get("args", called.get("arguments", called.get("input")))
        if arguments is not None:
            self.texts.append(arguments if isinstance(arguments, str) else _json(arguments))

    def _add_content(self, content: object, *, calls_apart: bool) -> None:
        if isinstance(content, str):
            self.texts.append(content)
        elif isinstance(content, list | tuple):
            for block in content:
                text = block.get("text") if type(block) is dict and block.get("type") == "text" else block
                if isinstance(text, str):
                    self.texts.append(text)
                elif isinstance(block, Mapping):
                    self._add_block(block, calls_apart=calls_apart)

    def _add_block(self, block: Mapping[str, object], *, calls_apart: bool) -> None:
        kind = block.get("type")
        if kind in _CALL_TYPES:
            if not calls_apart:
                self._framing += _FRAME
                self._add_call(block)
        elif kind in _IMAGE_TYPES or kind == "image_generation_call":
            details = block.get("image_url")
            detail = details.get("detail") if isinstance(details, Mapping) else block.get("detail")
            self._images += _IMAGE_IN_LOW_DETAIL if detail == "low" else _IMAGE
        elif kind in _OPAQUE_TYPES:
            self._add_document(block)
        else:
            self._reasons = self._reasons or kind in _REASONING_TYPES
            self._add_strings(block, 0)

    def _add_document(self, block: Mapping[str, object]) -> None:
        source = block.get("source")
        text = source.get("data") if isinstance(source, Mapping) and source.get("type") == "text" else block.get("text")
        if isinstance(text, str):
            self.texts.append(text)
        else:
            self._measurable = False

    def _add_strings(self, value: object, depth: int) -> None:
        if isinstance(value, str):
            self.texts.append(value)
        elif depth >= _DEPTH:
            return
        elif isinstance(value, Mapping):
            if depth and value.get("type") in _IMAGE_TYPES:
                self._add_block(value, calls_apart=False)
                return
            for key, inner in value.items():
                if key not in _NOT_TEXT:
                    self._add_strings(inner, depth + 1)
        elif isinstance(value, list | tuple):
            for inner in value:
                self._add_strings(inner, depth + 1)


def _is_pair(value: object) -> bool:
    """A (role, text) tuple, as LangChain takes it."""
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str)  # noqa: PLR2004  (a pair)


def _only_text(message: object) -> str | None:
    """The text of a message object that holds one and nothing else: the short way for nearly all of them."""
    fields = getattr(message, "__dict__", None)
    if type(fields) is not dict or fields.get("tool_calls") or fields.get("additional_kwargs"):
        return None
    content = fields.get("content")
    if type(content) is list and len(content) == 1 and type(content[0]) is dict:
        content = content[0].get("text") if content[0].get("type") == "text" else None
    return content if type(content) is str else None


def _fields(message: object) -> Mapping[str, object]:
    """The fields of a message. An object's own dictionary: asking a pydantic model for a field that it lacks is slow."""
    fields = message if isinstance(message, dict) else getattr(message, "__dict__", None)
    if isinstance(fields, dict) and (fields is message or "content" in fields):
        return fields
    return message if isinstance(message, Mapping) else {}


def _json(value: object) -> str:
    """A value as JSON text. Objects that are not JSON count as nothing: their own code is not run."""
    return json.dumps(value, ensure_ascii=False, default=lambda _: None, skipkeys=True)


def prompt_size(messages: object, schemas: Iterable[object] = ()) -> ContentSize | None:
    """The size of a prompt with the tools and the output format that go with it; None if it cannot be told.

    Raises:
        TypeError: an item of `messages` is not a message.
    """
    gathering = Gathering()
    gathering.add_messages(messages)
    for schema in schemas:
        gathering.add_schemas(schema)
    return gathering.size()

"""LangChain's messages as the conventions' message objects: `{role, parts, name?}`. Read by shape, never by class.

A message is whatever holds content: a message object, the dictionary of an API, a (role, text) pair, or a bare text. One that
cannot be read loses itself, not the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from langmeter.boundary import shield
from langmeter.langchain.blocks import content_parts, tool_call_part
from langmeter.langchain.parts import Part, omitted_part, reasoning_part, refusal_part, text_part

Message = dict[str, Any]

_ROLES: Final = {
    "human": "user",
    "HumanMessageChunk": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "SystemMessageChunk": "system",
    "ToolMessageChunk": "tool",
    "FunctionMessageChunk": "tool",
    "function": "tool",
    "developer": "system",
}
_PAIR: Final = 2
_READ: Final = 512
"""Messages of a history that are read, the first and the newest; telemetry keeps fewer."""


def messages(value: Any) -> list[Message]:
    """The messages of a prompt or a state, in order. A text or one message alone is a list of one.

    Of a very long history, a message of the role `omitted` says how many after the first were not read.
    """
    if isinstance(value, str) or not isinstance(value, list | tuple) or is_pair(value):
        value = [value]
    unread = len(value) - _READ
    found: list[Message] = []
    for item in value if unread <= 0 else (value[0], *value[1 - _READ :]):
        with shield("content"):
            read = message(item)
            if read is not None:
                found.append(read)
    if unread > 0:
        found.insert(1, {"role": "omitted", "parts": [omitted_part(unread)]})
    return found


def message(item: Any) -> Message | None:
    """One message; None for what is none, an instruction to remove a message for one."""
    if isinstance(item, str):
        return {"role": "user", "parts": [text_part(item)]} if item else None
    if is_pair(item):
        return {"role": _ROLES.get(item[0], item[0]), "parts": content_parts(item[1])}
    fields = message_fields(item)
    role = _role(fields)
    if role is None or "content" not in fields:
        return None
    parts = _tool_response(fields) if role == "tool" else _parts(fields)
    read: Message = {"role": role, "parts": parts}
    name = fields.get("name")
    if isinstance(name, str) and name:
        read["name"] = name
    return read


def message_fields(item: Any) -> Mapping[str, Any]:
    """The fields of a message object or a mapping, without running code of either's own."""
    fields = item if isinstance(item, Mapping) else getattr(item, "__dict__", None)
    return fields if isinstance(fields, Mapping) else {}


def is_message(item: Any) -> bool:
    """Whether this is a message rather than other data."""
    fields = message_fields(item)
    return "content" in fields and _role(fields) is not None


def is_pair(value: Any) -> bool:
    """A (role, content) pair, as LangChain takes it."""
    is_one = isinstance(value, tuple) and len(value) == _PAIR
    return is_one and isinstance(value[0], str) and isinstance(value[1], str | list)


def _role(fields: Mapping[str, Any]) -> str | None:
    own = fields.get("role")
    kind = own if isinstance(own, str) and own else fields.get("type")
    if not isinstance(kind, str) or not kind or kind == "remove":
        return None
    return _ROLES.get(kind, kind)


def _parts(fields: Mapping[str, Any]) -> list[Part]:
    extra = fields.get("additional_kwargs")
    extra = extra if isinstance(extra, Mapping) else {}
    calls = [*_listed(fields, "tool_calls"), *_listed(fields, "invalid_tool_calls")]
    if not calls and isinstance(extra.get("function_call"), Mapping):
        calls = [extra["function_call"]]
    parts = content_parts(fields["content"], calls_apart=bool(calls))
    if not any(part["type"] == "reasoning" for part in parts):
        parts = [*_reasoning_apart(extra), *parts]
    parts += _beside(extra, parts)
    for call in calls:
        part = tool_call_part(call)
        if part is not None:
            parts.append(part)
    return parts


def _listed(fields: Mapping[str, Any], key: str) -> list[Any]:
    value = fields.get(key)
    return list(value) if isinstance(value, list | tuple) else []


def _reasoning_apart(extra: Mapping[str, Any]) -> list[Part]:
    """Reasoning that an integration keeps outside of the content: DeepSeek and others as text, OpenAI as a block."""
    thought = extra.get("reasoning_content")
    if isinstance(thought, str) and thought:
        return [reasoning_part(thought)]
    block = extra.get("reasoning")
    return content_parts([{**block, "type": "reasoning"}]) if isinstance(block, Mapping) else []


def _beside(extra: Mapping[str, Any], parts: list[Part]) -> list[Part]:
    """Refusals and sound of OpenAI's Chat Completions."""
    found = []
    refusal, audio = extra.get("refusal"), extra.get("audio")
    if isinstance(refusal, str) and refusal and not any(part["type"] == "refusal" for part in parts):
        found.append(refusal_part(refusal))
    if isinstance(audio, Mapping):
        found += content_parts(
            [{key: audio[key] for key in ("data", "transcript") if key in audio} | {"type": "audio"}]
        )
    return found


def _tool_response(fields: Mapping[str, Any]) -> list[Part]:
    """The result of a tool: text as text, anything else as a list of parts."""
    content = fields["content"]
    part: Part = {"type": "tool_call_response"}
    call = fields.get("tool_call_id")
    if isinstance(call, str) and call:
        part["id"] = call
    part["response"] = content if isinstance(content, str) else content_parts(content)
    return [part]

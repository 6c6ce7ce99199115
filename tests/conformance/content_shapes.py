"""The shapes of recorded content: messages, tool definitions, documents, as the conventions' schemas describe them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_MODALITIES = ("image", "video", "audio", "document")
# Part type -> (what it must have, of which type).
_PARTS: dict[str, dict[str, type]] = {
    "text": {"content": str},
    "reasoning": {"content": str},
    "tool_call": {"name": str},
    "tool_call_response": {"response": object},
    "server_tool_call": {"name": str, "server_tool_call": Mapping},
    "server_tool_call_response": {"server_tool_call_response": Mapping},
    "blob": {"modality": str, "content": str},
    "file": {"modality": str, "file_id": str},
    "uri": {"modality": str, "uri": str},
    "compaction": {},
}
LONGEST_TEXT = 100_000
"""No text of content may be longer: that would be somebody's file."""


def violations(name: str, value: Any) -> Iterator[str]:
    """What is wrong with the content attribute `name`, whose value is structured, not text."""
    check = _CHECKS.get(name)
    if check is not None:
        yield from check(value)
    yield from _too_long(value)


def _too_long(value: Any) -> Iterator[str]:
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        yield f"a text of {len(value)} characters"
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _too_long(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _too_long(inner)


def _messages(value: Any) -> Iterator[str]:
    if not isinstance(value, list | tuple) or not value:
        yield f"is no list of messages: {value!r:.80}"
        return
    for message in value:
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            yield f"a message without a role: {message!r:.80}"
        elif "finish_reason" in message:
            yield "a message with the deprecated finish_reason"
        else:
            yield from _parts(message.get("parts"))


def _parts(value: Any) -> Iterator[str]:
    if not isinstance(value, list | tuple):
        yield f"a message whose parts are no list: {value!r:.80}"
        return
    for part in value:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if not isinstance(kind, str):
            yield f"a part without a type: {part!r:.80}"
            continue
        for field, expected in _PARTS.get(kind, {}).items():
            if not isinstance(part.get(field), expected) or field not in part:
                yield f"a part {kind!r} without {field}: {part!r:.80}"
        if kind == "tool_call" and not isinstance(part.get("arguments", {}), Mapping):
            yield f"arguments of a tool call that are no object: {part!r:.80}"
        if kind == "uri" and str(part.get("uri")).startswith("data:"):
            yield "a uri part with a data: URL"


def _instructions(value: Any) -> Iterator[str]:
    yield from _parts(value)
    if isinstance(value, list | tuple) and any(part.get("type") != "text" for part in value):
        yield "system instructions have text parts only"


def _definitions(value: Any) -> Iterator[str]:
    if not isinstance(value, list | tuple) or not value:
        yield f"is no list of tools: {value!r:.80}"
        return
    for tool in value:
        if not isinstance(tool, Mapping) or not isinstance(tool.get("type"), str) or not isinstance(tool["name"], str):
            yield f"a tool without type and name: {tool!r:.80}"


def _documents(value: Any) -> Iterator[str]:
    if not isinstance(value, list | tuple):
        yield f"is no list of documents: {value!r:.80}"
        return
    for document in value:
        if not isinstance(document, Mapping):
            yield f"a document that is no object: {document!r:.80}"
        elif not isinstance(document.get("id", ""), str):
            yield f"a document whose id is no text: {document!r:.80}"


def _records(value: Any) -> Iterator[str]:
    if not isinstance(value, list | tuple):
        yield f"is no list of records: {value!r:.80}"
        return
    for record in value:
        if not isinstance(record, Mapping) or "content" not in record:
            yield f"a record without content: {record!r:.80}"


def _object(value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"is no object: {value!r:.80}"


_CHECKS = {
    "gen_ai.input.messages": _messages,
    "gen_ai.output.messages": _messages,
    "gen_ai.system_instructions": _instructions,
    "gen_ai.tool.definitions": _definitions,
    "gen_ai.retrieval.documents": _documents,
    "gen_ai.memory.records": _records,
    "gen_ai.tool.call.arguments": _object,
    "gen_ai.tool.call.result": _object,
}

"""Content blocks of every provider and of LangChain itself, as the parts of the conventions' messages.

Encoded images, sound and files are replaced by what they are and how large; addresses lose user, password, query and
fragment, where signatures live. A block that nothing here knows keeps its type and its data, without what is encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from langmeter.boundary import shield
from langmeter.langchain.json_values import json_object, json_ready
from langmeter.langchain.media import media_part, mime_type_of, omitted_blob
from langmeter.langchain.parts import Part, omitted_part, reasoning_part, refusal_part, text_part

_CALLS: Final = frozenset({"tool_use", "tool_call", "tool_call_chunk", "function_call", "custom_tool_call"})
_FRAGMENTS: Final = frozenset({"input_json_delta", "server_tool_call_chunk"})
"""Pieces of calls under way: the whole call is beside them."""
_ENCODED: Final = frozenset({"base64", "data", "encrypted_content", "file_data", "partial_image_b64", "signature"})
_RESERVED: Final = frozenset({"blob", "uri", "tool_call_response", "server_tool_call_response"})
"""Parts of the conventions that need what a block of that name need not have."""
_READ: Final = 512
"""Blocks of one message that are read; telemetry keeps fewer."""
_ID_KEYS: Final = ("id", "tool_use_id", "tool_call_id", "call_id")


def content_parts(content: Any, *, calls_apart: bool = False) -> list[Part]:
    """The parts of a message's content, in order.

    Args:
        content: a text, or a list of texts and blocks.
        calls_apart: True where the message lists its tool calls itself, so that their blocks are repetitions.
    """
    if isinstance(content, str):
        return [text_part(content)] if content else []
    if isinstance(content, Mapping):
        content = [content]
    parts: list[Part] = []
    if not isinstance(content, list | tuple):
        return parts
    for block in content[:_READ]:
        with shield("content"):
            part = _part(block, calls_apart=calls_apart)
            if part is not None:
                parts.append(part)
    return parts if len(content) <= _READ else [*parts, omitted_part(len(content) - _READ)]


def tool_call_part(call: Any) -> Part | None:
    """A call of a tool, in LangChain's form, OpenAI's or a provider's block; None if it is none."""
    if not isinstance(call, Mapping):
        return None
    inner = call.get("function")
    called = inner if isinstance(inner, Mapping) else call
    name = called.get("name")
    if not isinstance(name, str) or not name:
        return None
    part: Part = {"type": "tool_call", "name": name}
    _identify(part, call, ("call_id", "id"))
    arguments = next((called[key] for key in ("args", "arguments", "input") if called.get(key) is not None), None)
    parsed = json_object(arguments) if isinstance(arguments, str) else arguments
    if isinstance(parsed, Mapping):
        ready = json_ready(parsed)
        part["arguments" if isinstance(ready, dict) else "unparsed_arguments"] = ready
    elif arguments:
        part["unparsed_arguments"] = json_ready(arguments)
    return part


def _part(block: Any, *, calls_apart: bool) -> Part | None:
    if not isinstance(block, Mapping):
        return text_part(block) if isinstance(block, str) and block else None
    kind = block.get("type")
    if kind == "non_standard" and isinstance(block.get("value"), Mapping):
        return _part(block["value"], calls_apart=calls_apart)
    if not isinstance(kind, str):
        return _untyped(block, calls_apart=calls_apart)
    if kind in _CALLS or kind in _FRAGMENTS:
        return None if calls_apart or kind in _FRAGMENTS else tool_call_part(block)
    return _reader(kind)(block)


def _reader(kind: str) -> Callable[[Mapping[str, Any]], Part | None]:
    """What reads blocks of a type. Providers add tools of their own all the time, and name them alike."""
    if kind in _READERS:
        return _READERS[kind]
    if kind.endswith("_call_output"):
        return _tool_response
    if kind.endswith("_tool_result"):
        return _server_result
    return _server_call if kind.endswith(("_call", "_tool_use")) else _other


def _untyped(block: Mapping[str, Any], *, calls_apart: bool) -> Part | None:
    """Blocks of Amazon Bedrock and Google, which are known by their one key."""
    if isinstance(block.get("text"), str):
        return text_part(block["text"])
    for key in ("image", "video", "document", "audio"):
        if isinstance(block.get(key), Mapping):
            inner = block[key]
            source = inner.get("source")
            data = source.get("bytes") if isinstance(source, Mapping) else inner.get("bytes")
            return omitted_blob(key, data, mime_type_of(key, inner.get("format")))
    if isinstance(block.get("toolUse"), Mapping):
        inner = block["toolUse"]
        return None if calls_apart else tool_call_part({**inner, "id": inner.get("toolUseId")})
    if isinstance(block.get("toolResult"), Mapping):
        return _tool_response(block["toolResult"])
    return _other({"type": "unknown", **block})


# -- texts -----------------------------------------------------------------------------------------------------------


def _text(block: Mapping[str, Any]) -> Part | None:
    text = block.get("text")
    return text_part(text) if isinstance(text, str) and text else None


def _refusal(block: Mapping[str, Any]) -> Part | None:
    refusal = block.get("refusal")
    return refusal_part(refusal) if isinstance(refusal, str) and refusal else None


def _reasoning(block: Mapping[str, Any]) -> Part | None:
    for key in ("reasoning", "thinking", "reasoning_content", "text"):
        thought = block.get(key)
        if isinstance(thought, Mapping):  # Amazon Bedrock
            thought = thought.get("text")
        if isinstance(thought, str) and thought:
            return reasoning_part(thought)
    for key in ("summary", "content", "thinking"):  # OpenAI's Responses API; Mistral
        pieces = block.get(key)
        texts = (
            [piece.get("text") for piece in pieces if isinstance(piece, Mapping)] if isinstance(pieces, list) else []
        )
        told = "\n".join([text for text in texts if isinstance(text, str)])
        if told:
            return reasoning_part(told)
    return {"type": "encrypted_reasoning"} if block.get("encrypted_content") or block.get("data") else None


def _plain_text(block: Mapping[str, Any]) -> Part | None:
    return _text(block) or media_part(block)


# -- tools ---------------------------------------------------------------------------------------------------------------


def _tool_response(block: Mapping[str, Any]) -> Part:
    """The result of a tool of the application, as a block of a message."""
    part: Part = {"type": "tool_call_response"}
    _identify(part, block, ("tool_use_id", "toolUseId", "tool_call_id", "call_id", "id"))
    given = next((block[key] for key in ("content", "output") if block.get(key) is not None), None)
    return {**part, "response": given if isinstance(given, str) else content_parts(given)}


# -- tools that the provider runs ----------------------------------------------------------------------------------------


def _server_call(block: Mapping[str, Any]) -> Part | None:
    kind = str(block.get("type"))
    if kind == "image_generation_call":
        return omitted_blob("image", block.get("result"))
    name = block.get("name")
    if not isinstance(name, str) or not name:
        name = kind.removesuffix("_call").removesuffix("_tool_use")
    part: Part = {"type": "server_tool_call", "name": name}
    _identify(part, block, _ID_KEYS)
    return {**part, "server_tool_call": {"type": name, **_details(block, drop=("name", "index"))}}


def _server_result(block: Mapping[str, Any]) -> Part:
    part: Part = {"type": "server_tool_call_response"}
    _identify(part, block, ("tool_use_id", "tool_call_id", "call_id", "id"))
    kind = str(block.get("type"))
    return {**part, "server_tool_call_response": {"type": kind, **_details(block, drop=("index",))}}


def _details(block: Mapping[str, Any], drop: tuple[str, ...]) -> dict[str, Any]:
    skipped = {*_ID_KEYS, *drop, "type"}
    return {key: _unencoded(inner) for key, inner in json_ready(block).items() if key not in skipped}


def _unencoded(value: Any) -> Any:
    """A JSON-ready value without the fields that hold encoded data."""
    if isinstance(value, dict):
        return {key: _unencoded(inner) for key, inner in value.items() if key not in _ENCODED}
    return [_unencoded(inner) for inner in value] if isinstance(value, list) else value


def _media(block: Mapping[str, Any]) -> Part | None:
    found = media_part(block)
    return found if found is not None or block.get("type") == "file" else _other(block)


def _other(block: Mapping[str, Any]) -> Part:
    kept = {key: inner for key, inner in json_ready(block).items() if key not in _ENCODED}
    if kept.get("type") in _RESERVED:
        kept["type"] = "unknown"
    return {key: _unencoded(inner) for key, inner in kept.items() if key != "index"}


def _identify(part: Part, source: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    found = next((source[key] for key in keys if isinstance(source.get(key), str) and source[key]), None)
    if found is not None:
        part["id"] = found


_READERS: Final[dict[str, Callable[[Mapping[str, Any]], Part | None]]] = {
    **dict.fromkeys(("text", "input_text", "output_text"), _text),
    "text-plain": _plain_text,
    "tool_result": _tool_response,
    "refusal": _refusal,
    **dict.fromkeys(("reasoning", "thinking", "reasoning_content", "redacted_thinking"), _reasoning),
    **dict.fromkeys(
        ("image", "image_url", "input_image", "audio", "input_audio", "audio_url", "video", "video_url"), _media
    ),
    **dict.fromkeys(("file", "input_file", "document", "media"), _media),
    **dict.fromkeys(("server_tool_call", "server_tool_use", "mcp_tool_use"), _server_call),
    **dict.fromkeys(("server_tool_result", "mcp_tool_result"), _server_result),
}

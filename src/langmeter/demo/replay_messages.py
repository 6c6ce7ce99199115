"""Conversations as providers' APIs spell them, turned into LangChain messages."""

from __future__ import annotations

import json
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    convert_to_messages,
)


def chat_messages(request: dict[str, Any]) -> list[BaseMessage]:
    """The conversation of a chat-completions request.

    Groq, Mistral, Cohere and Ollama shape their messages alike.
    """
    return convert_to_messages([_chat_message(message) for message in request.get("messages") or []])


def _chat_message(message: dict[str, Any]) -> dict[str, Any]:
    present = {key: value for key, value in message.items() if value is not None} | {
        "content": message.get("content") or ""
    }
    calls = present.get("tool_calls")
    if calls:
        present["tool_calls"] = [_tool_call(call, number) for number, call in enumerate(calls)]
    if present.get("role") == "tool":
        present.setdefault("tool_call_id", "")  # Ollama has none
    return present


def _tool_call(call: dict[str, Any], number: int) -> dict[str, Any]:
    function = call.get("function") or {}
    arguments = function.get("arguments") or "{}"
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"type": "function", "id": f"call_{number}", **call, "function": {**function, "arguments": text}}


def anthropic_messages(request: dict[str, Any]) -> list[BaseMessage]:
    """The system prompt and conversation of a request to Anthropic's messages API."""
    system: list[BaseMessage] = [SystemMessage(content=request["system"])] if request.get("system") else []
    return system + convert_to_messages(request.get("messages") or [])


def responses_messages(request: dict[str, Any]) -> list[BaseMessage]:
    """The input of a request to OpenAI's Responses API, tool calls and their outputs included."""
    source = request.get("input") or []
    if isinstance(source, str):
        return [HumanMessage(content=source)]
    return [_responses_item(item) for item in source]


def _responses_item(item: dict[str, Any]) -> BaseMessage:
    match item.get("type", "message"):
        case "function_call":
            call = {"name": item["name"], "args": json.loads(item["arguments"] or "{}"), "id": item["call_id"]}
            return AIMessage(content="", tool_calls=[call])
        case "function_call_output":
            return ToolMessage(content=item["output"], tool_call_id=item["call_id"])
        case "message":
            return convert_to_messages([{"role": item["role"], "content": item["content"]}])[0]
        case _:
            return AIMessage(content=[item])  # reasoning, calls of built-in tools: sent back as they came


def gemini_messages(request: dict[str, Any]) -> list[BaseMessage]:
    """The system instruction and contents of a request to Google's generateContent API."""
    instruction = request.get("systemInstruction") or request.get("system_instruction") or {}
    text = "".join(part.get("text", "") for part in instruction.get("parts", ()))
    system: list[BaseMessage] = [SystemMessage(content=text)] if text else []
    return system + [message for content in request.get("contents") or [] for message in _gemini_content(content)]


def _gemini_content(content: dict[str, Any]) -> list[BaseMessage]:
    parts = content.get("parts") or []
    results = [part["functionResponse"] for part in parts if "functionResponse" in part]
    if results:
        return [
            ToolMessage(
                content=json.dumps(result.get("response")), name=result["name"], tool_call_id=result.get("id", "")
            )
            for result in results
        ]
    blocks = [_gemini_block(part) for part in parts if "text" in part or "inlineData" in part]
    if content.get("role") != "model":
        return [HumanMessage(content=blocks)]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    tool_calls = [{"name": call["name"], "args": call.get("args") or {}, "id": call.get("id", "")} for call in calls]
    return [AIMessage(content=blocks, tool_calls=tool_calls)]


def _gemini_block(part: dict[str, Any]) -> str | dict[str, Any]:
    if "text" in part:
        return {"type": "text", "text": part["text"]}
    data = part["inlineData"]
    return {"type": "media", "mime_type": data["mimeType"], "data": data["data"]}

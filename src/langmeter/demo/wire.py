"""The three OpenAI APIs that the demo's provider speaks: requests read, answers and streams written."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from langmeter.demo.answers import Question, Reply, Tool

if TYPE_CHECKING:
    from langmeter.demo.ledger import Usage

Json = dict[str, Any]
_CREATED = 1_767_225_600
_PIECE = re.compile(r"\S+\s*")


class Answer(NamedTuple):
    """All that is needed to write an answer in any of the three forms."""

    identifier: str
    model: str
    replies: tuple[Reply, ...]
    usage: Usage


class Chunk(NamedTuple):
    """One event of a stream."""

    data: Json
    tokens: float = 0.0
    """Tokens that were generated for it: what decides how long it takes."""


# -- reading ---------------------------------------------------------------------------------------------------------


def questions(path: str, body: Json) -> tuple[Question, ...]:
    """The questions of one request: one, or for a text model as many as it has prompts."""
    if path.endswith("/chat/completions"):
        return (_chat_question(body),)
    if path.endswith("/responses"):
        return (_responses_question(body),)
    prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
    return tuple(Question(body["model"], "", (prompt,), max_tokens=body.get("max_tokens")) for prompt in prompts)


def wants_usage(path: str, body: Json) -> bool:
    """Whether the answer shall carry its usage; streams of the older APIs only do when asked."""
    if not body.get("stream") or path.endswith("/responses"):
        return True
    return bool((body.get("stream_options") or {}).get("include_usage"))


def _text(content: object) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return str(content or "")


def _chat_question(body: Json) -> Question:
    spoken = [message for message in body["messages"] if message["role"] not in {"system", "developer"}]
    form = body.get("response_format") or {}
    return Question(
        body["model"],
        _instructions(body["messages"]),
        tuple(_text(message.get("content")) for message in spoken),
        tuple(Tool(tool["function"]["name"], tool["function"]["parameters"]) for tool in body.get("tools") or ()),
        tuple(_text(message["content"]) for message in spoken if message["role"] == "tool"),
        form["json_schema"]["schema"] if form.get("type") == "json_schema" else None,
        body.get("max_completion_tokens") or body.get("max_tokens"),
    )


def _responses_question(body: Json) -> Question:
    items = body["input"] if isinstance(body["input"], list) else [{"role": "user", "content": body["input"]}]
    results = tuple(_text(item["output"]) for item in items if item.get("type") == "function_call_output")
    spoken = [item for item in items if item.get("role") in {"user", "assistant"}]
    return Question(
        body["model"],
        body.get("instructions") or _instructions(items),
        (*(_text(item.get("content")) for item in spoken), *results),
        tuple(Tool(tool["name"], tool["parameters"]) for tool in body.get("tools") or ()),
        results,
        max_tokens=body.get("max_output_tokens"),
    )


def _instructions(messages: Sequence[Json]) -> str:
    chosen = (message for message in messages if message.get("role") in {"system", "developer"})
    return "\n".join(_text(message["content"]) for message in chosen)


# -- writing: chat and text completions ------------------------------------------------------------------------------


def error(message: str, kind: str, code: str | None = None) -> Json:
    """The body of an answer that is an error."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def complete(path: str, answer: Answer) -> Json:
    """A whole answer in one body."""
    if path.endswith("/responses"):
        return _response(answer, "completed", _output(answer), _responses_usage(answer.usage))
    if path.endswith("/chat/completions"):
        choices = [
            {"index": index, "message": _message(reply, answer.identifier), "finish_reason": reply.finish_reason}
            for index, reply in enumerate(answer.replies)
        ]
        return {**_head(answer, "chat.completion"), "choices": choices, "usage": _usage(answer.usage)}
    texts = [
        {"index": index, "text": reply.text, "finish_reason": reply.finish_reason, "logprobs": None}
        for index, reply in enumerate(answer.replies)
    ]
    return {**_head(answer, "text_completion"), "choices": texts, "usage": _usage(answer.usage)}


def chunks(path: str, answer: Answer, *, with_usage: bool) -> Iterator[Chunk]:
    """The same answer as a stream of events."""
    if path.endswith("/responses"):
        return _response_events(answer)
    if path.endswith("/chat/completions"):
        return _chat_chunks(answer, with_usage=with_usage)
    return _text_chunks(answer, with_usage=with_usage)


def _head(answer: Answer, kind: str) -> Json:
    return {"id": answer.identifier, "object": kind, "created": _CREATED, "model": answer.model}


def _usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0},
    }


def _message(reply: Reply, identifier: str) -> Json:
    if reply.tool is None:
        return {"role": "assistant", "content": reply.text, "refusal": None}
    call = {"name": reply.tool, "arguments": reply.text}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": f"call_{identifier}", "type": "function", "function": call}],
    }


def _pieces(text: str) -> list[str]:
    return _PIECE.findall(text)


def _share(reply: Reply) -> float:
    """Tokens for each piece of the text."""
    return (reply.output_tokens - reply.reasoning_tokens) / max(len(_pieces(reply.text)), 1)


def _chat_chunks(answer: Answer, *, with_usage: bool) -> Iterator[Chunk]:
    head = _head(answer, "chat.completion.chunk")
    reply = answer.replies[0]
    identity: Json = {"id": f"call_{answer.identifier}", "type": "function"}

    def chunk(delta: Json, tokens: float = 0.0, finish: str | None = None) -> Chunk:
        return Chunk({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}, tokens)

    yield chunk({"role": "assistant", "content": "" if reply.tool is None else None}, reply.reasoning_tokens)
    if reply.tool is not None:
        yield chunk({"tool_calls": [{"index": 0, **identity, "function": {"name": reply.tool, "arguments": ""}}]})
    for piece in _pieces(reply.text):
        call = {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
        yield chunk({"content": piece} if reply.tool is None else call, _share(reply))
    yield chunk({}, finish=reply.finish_reason)
    if with_usage:
        yield Chunk({**head, "choices": [], "usage": _usage(answer.usage)})


def _text_chunks(answer: Answer, *, with_usage: bool) -> Iterator[Chunk]:
    head = _head(answer, "text_completion")
    reply = answer.replies[0]
    for piece in _pieces(reply.text):
        yield Chunk({**head, "choices": [{"index": 0, "text": piece, "finish_reason": None}]}, _share(reply))
    yield Chunk({**head, "choices": [{"index": 0, "text": "", "finish_reason": reply.finish_reason}]})
    if with_usage:
        yield Chunk({**head, "choices": [], "usage": _usage(answer.usage)})


# -- writing: responses ----------------------------------------------------------------------------------------------


def _responses_usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def _response(answer: Answer, status: str, output: list[Json], usage: Json | None) -> Json:
    return {
        "id": f"resp_{answer.identifier}",
        "object": "response",
        "created_at": _CREATED,
        "status": status,
        "model": answer.model,
        "output": output,
        "usage": usage,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "text": {"format": {"type": "text"}},
        "service_tier": "default",
    }


def _output(answer: Answer) -> list[Json]:
    """The one item of output: a message."""
    content = {"type": "output_text", "text": answer.replies[0].text, "annotations": [], "logprobs": []}
    item = {"type": "message", "id": f"msg_{answer.identifier}", "status": "completed", "role": "assistant"}
    return [{**item, "content": [content]}]


def _response_events(answer: Answer) -> Iterator[Chunk]:
    reply, item = answer.replies[0], _output(answer)[0]
    part, number = item["content"][0], itertools.count()
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}

    def event(kind: str, tokens: float = 0.0, **fields: Any) -> Chunk:
        return Chunk({"type": f"response.{kind}", "sequence_number": next(number), **fields}, tokens)

    yield event("created", response=_response(answer, "in_progress", [], None))
    started = {**item, "status": "in_progress", "content": []}
    yield event("output_item.added", reply.reasoning_tokens, output_index=0, item=started)
    yield event("content_part.added", **place, part={**part, "text": ""})
    for piece in _pieces(reply.text):
        yield event("output_text.delta", _share(reply), **place, delta=piece, logprobs=[])
    yield event("output_text.done", **place, text=reply.text, logprobs=[])
    yield event("content_part.done", **place, part=part)
    yield event("output_item.done", output_index=0, item=item)
    usage = _responses_usage(answer.usage)
    yield event("completed", response=_response(answer, "completed", [item], usage))

"""The three OpenAI APIs that the demo's provider speaks: requests read, answers and streams written."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from langmeter.demo.answers import Question, Reply, Tool, ToolCall

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
    limit = body.get("max_tokens")
    return tuple(Question(body["model"], "", (prompt,), prompt, max_tokens=limit) for prompt in prompts)


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
    asked = max((at for at, message in enumerate(spoken) if message["role"] == "user"), default=-1)
    turn = spoken[asked + 1 :]
    form = body.get("response_format") or {}
    choice = body.get("tool_choice")
    return Question(
        body["model"],
        _instructions(body["messages"]),
        tuple(_said(message) for message in spoken),
        _text(spoken[asked].get("content")) if asked >= 0 else "",
        tools=tuple(Tool(tool["function"]["name"], tool["function"]["parameters"]) for tool in body.get("tools") or ()),
        tool_results=tuple(_text(message["content"]) for message in turn if message["role"] == "tool"),
        called=tuple(call["name"] for message in turn for call in _functions(message)),
        forced=choice["function"]["name"] if isinstance(choice, Mapping) else None,
        parallel=body.get("parallel_tool_calls") is not False,
        schema=form["json_schema"]["schema"] if form.get("type") == "json_schema" else None,
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
    )


def _said(message: Json) -> str:
    """All that a message makes the model read: its text, and the calls that it made."""
    calls = (call["name"] + call["arguments"] for call in _functions(message))
    return _text(message.get("content")) + "".join(calls)


def _functions(message: Json) -> list[Json]:
    return [call["function"] for call in message.get("tool_calls") or ()]


def _responses_question(body: Json) -> Question:
    """A request of the Responses API, which calls no tools here."""
    items = body["input"] if isinstance(body["input"], list) else [{"role": "user", "content": body["input"]}]
    spoken = tuple(_text(item.get("content")) for item in items if item.get("role") in {"user", "assistant"})
    instructions = body.get("instructions") or _instructions(items)
    text = spoken[-1] if spoken else ""
    return Question(body["model"], instructions, spoken, text, max_tokens=body.get("max_output_tokens"))


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
    if not reply.calls:
        return {"role": "assistant", "content": reply.text, "refusal": None}
    calls = [{**_identity(identifier, index), "function": call._asdict()} for index, call in enumerate(reply.calls)]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def _identity(identifier: str, index: int) -> Json:
    return {"id": f"call_{identifier}_{index}", "type": "function"}


def _pieces(text: str) -> list[str]:
    return _PIECE.findall(text)


def _share(reply: Reply) -> float:
    """Tokens for each piece of what is said."""
    texts = (reply.text, *(call.arguments for call in reply.calls))
    return (reply.output_tokens - reply.reasoning_tokens) / max(sum(len(_pieces(text)) for text in texts), 1)


def _chat_chunks(answer: Answer, *, with_usage: bool) -> Iterator[Chunk]:
    head = _head(answer, "chat.completion.chunk")
    reply = answer.replies[0]

    def chunk(delta: Json, tokens: float = 0.0, finish: str | None = None) -> Chunk:
        return Chunk({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}, tokens)

    yield chunk({"role": "assistant", "content": None if reply.calls else ""}, reply.reasoning_tokens)
    for piece in _pieces(reply.text):
        yield chunk({"content": piece}, _share(reply))
    for index, call in enumerate(reply.calls):
        for delta, tokens in _call_deltas(call, _identity(answer.identifier, index), _share(reply)):
            yield chunk({"tool_calls": [{"index": index, **delta}]}, tokens)
    yield chunk({}, finish=reply.finish_reason)
    if with_usage:
        yield Chunk({**head, "choices": [], "usage": _usage(answer.usage)})


def _call_deltas(call: ToolCall, identity: Json, share: float) -> Iterator[tuple[Json, float]]:
    """The parts of one call in a stream, each with the tokens that were generated for it."""
    yield {**identity, "function": {"name": call.name, "arguments": ""}}, 0.0
    for piece in _pieces(call.arguments):
        yield {"function": {"arguments": piece}}, share


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

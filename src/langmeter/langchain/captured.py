"""What of a call, a tool, a retrieval, an agent is content, by the attribute that carries it.

JSON-ready and as the application has it: redaction, limits and serialising are telemetry's. Called only where somebody
records content.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from math import isfinite
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

from langmeter import semconv
from langmeter.boundary import shield
from langmeter.langchain.blocks import content_parts
from langmeter.langchain.json_values import json_object, json_ready
from langmeter.langchain.messages import Message, is_message, is_pair, message, message_fields, messages
from langmeter.langchain.names import name_in

if TYPE_CHECKING:
    from langmeter.langchain.parts import Part
    from langmeter.settings import Settings

Captured = dict[str, Any]

_INSTRUCTIONS: Final = ("instructions", "system", "system_instruction")
_TOOLS: Final = ("tools", "functions")
_WRAPPERS: Final = ("function", "toolSpec", "custom")
_DECLARATIONS: Final = ("function_declarations", "functionDeclarations")
_SCHEMAS: Final = ("parameters", "input_schema", "inputSchema", "parameters_json_schema")
_SCORES: Final = ("score", "relevance_score", "similarity_score", "_score")
_VARIABLES: Final = 32
"""Variables of one prompt: a span drops its oldest attributes when it has more than 128."""
_READ: Final = 512
"""Documents or records of one answer that are read; telemetry keeps fewer."""
_IDS: Final = ("id", "_id", "document_id", "doc_id")


def call_content(messages_: Any, invocation_params: Any, options: Any, settings: Settings) -> Captured:
    """The prompt of a chat call: its messages, instructions that are sent apart from them, and the tools it may call."""
    content: Captured = {}
    with shield("content"):
        content[semconv.INPUT_MESSAGES] = messages(messages_)
    sources = [source for source in (invocation_params, options) if isinstance(source, Mapping)]
    for source in sources:
        with shield("content"):
            _add_instructions(content, source)
        with shield("content"):
            _add_tools(content, source, full=settings.tool_definitions == "full")
    return content


def prompt_content(prompt: Any) -> Captured:
    """The prompt of a text-model call."""
    return {semconv.INPUT_MESSAGES: messages(prompt)} if isinstance(prompt, str) else {}


def prompt_variables_content(variables: Any) -> Captured:
    """What a prompt template was filled with; the first of very many variables."""
    given = variables.items() if isinstance(variables, Mapping) else ()
    return {
        f"{semconv.PROMPT_VARIABLE_PREFIX}{name}": value if isinstance(value, str) else json_ready(value)
        for key, value in islice(given, _VARIABLES)
        if (name := name_in(key)) is not None
    }


def answer_content(result: Any) -> Captured:
    """What a model answered, one message for every choice of an `LLMResult`, of a `ChatResult` or of a bare message."""
    found = []
    for choice in _choices(result):
        with shield("content"):
            answered = getattr(choice, "message", None)
            text = getattr(choice, "text", None)
            read = message(answered) if answered is not None else None
            if read is None and isinstance(text, str):
                read = {"role": "assistant", "parts": content_parts(text)}
            if read is not None:
                found.append(read)
    if not found and is_message(result):
        found = messages(result)
    return {semconv.OUTPUT_MESSAGES: found} if found else {}


def tool_call_content(inputs: Any, input_text: Any) -> Captured:
    """The arguments of a tool call, as an object."""
    given = inputs if isinstance(inputs, Mapping) else json_object(input_text)
    if given is not None:
        ready = json_ready(given)
        return {semconv.TOOL_CALL_ARGUMENTS: ready if isinstance(ready, dict) else {"input": ready}}
    return {semconv.TOOL_CALL_ARGUMENTS: {"input": input_text}} if isinstance(input_text, str) and input_text else {}


def tool_result_content(output: Any) -> Captured:
    """What a tool returned, as an object; text that holds a JSON object is that object."""
    if output is None:
        return {}
    content = output
    if is_message(output) and not isinstance(output, Mapping):
        content = message_fields(output)["content"]
        if not isinstance(content, str):
            content = content_parts(content)
    given = json_object(content) if isinstance(content, str) else None
    result = json_ready(content if given is None else given)
    return {semconv.TOOL_CALL_RESULT: result if isinstance(result, dict) else {"output": result}}


def query_content(query: Any) -> Captured:
    """The text that a retriever was asked for."""
    return {semconv.RETRIEVAL_QUERY_TEXT: query} if isinstance(query, str) and query else {}


def documents_content(documents: Any) -> Captured:
    """The ids and scores of what a retriever found; not their text."""
    found = [_document(item) for item in documents[:_READ]] if isinstance(documents, list | tuple) else []
    return {semconv.RETRIEVAL_DOCUMENTS: found} if found else {}


def memory_query_content(query: Any) -> Captured:
    """The text that a memory was searched for."""
    return {semconv.MEMORY_QUERY_TEXT: query} if isinstance(query, str) and query else {}


def memory_records_content(records: Any) -> Captured:
    """The records that were found in a memory, or written to it: items of a LangGraph store, or one value."""
    given = records[:_READ] if isinstance(records, list) else [records]
    found = [_record(record) for record in given if record is not None]
    return {semconv.MEMORY_RECORDS: found} if found else {}


def chain_content(inputs: Any) -> Captured:
    """What an agent or a workflow was given: the messages of its state, else all of it as one text of the user."""
    state = inputs.get("messages") if isinstance(inputs, Mapping) else inputs
    found = messages(state) if _holds_messages(state) else _told("user", inputs)
    return {semconv.INPUT_MESSAGES: found} if found else {}


def chain_answer_content(outputs: Any) -> Captured:
    """What an agent or a workflow answered: the newest message of its state if the model's, else all of it as a text."""
    state = outputs.get("messages") if isinstance(outputs, Mapping) else outputs
    if _holds_messages(state) and not isinstance(state, str):
        read = messages(state[-1] if isinstance(state, list) and state else state)
        found = [last for last in read if last["role"] != "user"]
    else:
        found = _told("assistant", outputs)
    return {semconv.OUTPUT_MESSAGES: found} if found else {}


# -- inside ------------------------------------------------------------------------------------------------------------


def _holds_messages(state: Any) -> bool:
    if isinstance(state, list):
        return bool(state) and (is_message(state[0]) or is_pair(state[0]))
    return is_message(state) or (isinstance(state, str) and bool(state))


def _told(role: str, value: Any) -> list[Message]:
    """Data in place of messages: a text part whose content telemetry writes as JSON."""
    if value is None or (isinstance(value, str | dict) and not value):
        return []
    if isinstance(value, str):
        return [{"role": role, "parts": content_parts(value)}]
    return [{"role": role, "parts": [{"type": "text", "content": json_ready(value)}]}]


def _choices(result: Any) -> list[Any]:
    if isinstance(result, list):  # what a cache holds
        return result
    generations = getattr(result, "generations", None)
    if not isinstance(generations, list) or not generations:
        return [result] if hasattr(result, "message") else []
    return generations[0] if isinstance(generations[0], list) else generations


def _document(item: Any) -> Part:
    fields = message_fields(item)
    metadata = fields.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    identity = fields.get("id") or next((metadata[key] for key in _IDS if metadata.get(key)), None)
    score = next((metadata[key] for key in _SCORES if metadata.get(key) is not None), None)
    found: Part = {} if identity is None else {"id": str(json_ready(identity))}
    return _scored(found, score)


def _scored(found: Part, score: Any) -> Part:
    """With its score where that is a number, one of NumPy's included."""
    return {**found, "score": float(score)} if isinstance(score, Real) and isfinite(score) else found


def _record(item: Any) -> Part:
    value = getattr(item, "value", item)
    found: Part = {"content": json_ready(value)}
    key, score = getattr(item, "key", None), getattr(item, "score", None)
    if isinstance(key, str):
        found["id"] = key
    return _scored(found, score)


def _add_instructions(content: Captured, source: Mapping[str, Any]) -> None:
    for key in _INSTRUCTIONS:
        parts = [part for part in content_parts(source.get(key)) if part["type"] == "text"]
        if parts:
            content[semconv.SYSTEM_INSTRUCTIONS] = parts
            return


def _add_tools(content: Captured, source: Mapping[str, Any], *, full: bool) -> None:
    for key in _TOOLS:
        tools = source.get(key)
        found = (
            [row for tool in tools for row in _definitions(tool, full=full)] if isinstance(tools, list | tuple) else []
        )
        if found:
            content[semconv.TOOL_DEFINITIONS] = found
            return


def _definitions(tool: Any, *, full: bool) -> list[Part]:
    if not isinstance(tool, Mapping):
        return []
    for key in _DECLARATIONS:  # Google puts all functions into one tool
        if isinstance(tool.get(key), list):
            return [row for inner in tool[key] for row in _definitions(inner, full=full)]
    inner = next((tool[key] for key in _WRAPPERS if isinstance(tool.get(key), Mapping)), tool)
    kind = _tool_type(tool)
    name = inner.get("name")
    row: Part = {"type": kind, "name": name if isinstance(name, str) and name else kind}
    if full:
        if isinstance(inner.get("description"), str):
            row["description"] = inner["description"]
        schema = next((inner[key] for key in _SCHEMAS if isinstance(inner.get(key), Mapping)), None)
        if schema is not None:
            row["parameters"] = json_ready(schema.get("json", schema))
    return [row]


def _tool_type(tool: Mapping[str, Any]) -> str:
    own = tool.get("type")
    if isinstance(own, str) and own != "custom":
        return own
    only = next(iter(tool)) if len(tool) == 1 else None
    # Google's own tools are known by their one key: `{"google_search": {}}`.
    if isinstance(only, str) and only not in _WRAPPERS and isinstance(tool[only], Mapping):
        return only
    return "function"

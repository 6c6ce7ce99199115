"""The JSON schemas of content as the conventions give them, stated again: what langmeter records must fit them.

A part of a type that the conventions know must have what that type requires; parts of other types are free. Encoded data is
never recorded, so a `blob` must not appear at all.
"""

from __future__ import annotations

import json

from jsonschema import Draft7Validator

from langmeter import semconv

_TEXT = {"type": "string"}
_REQUIRED = {
    "text": {"content": _TEXT},
    "reasoning": {"content": _TEXT},
    "tool_call": {"name": _TEXT},
    "tool_call_response": {"response": {}},
    "server_tool_call": {"name": _TEXT, "server_tool_call": {"type": "object", "required": ["type"]}},
    "server_tool_call_response": {"server_tool_call_response": {"type": "object", "required": ["type"]}},
    "file": {"modality": _TEXT, "file_id": _TEXT},
    "uri": {"modality": _TEXT, "uri": {"type": "string", "pattern": "^(?!data:)"}},
    "blob": False,
}
_OPTIONAL = {"id": _TEXT, "arguments": {"type": "object"}, "mime_type": _TEXT, "transcript": _TEXT}


def _of_type(name, fields):
    then = False if fields is False else {"required": list(fields), "properties": fields}
    return {"if": {"properties": {"type": {"const": name}}}, "then": then}


PART = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": _TEXT, **_OPTIONAL},
    "allOf": [_of_type(name, fields) for name, fields in _REQUIRED.items()],
}
MESSAGES = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["role", "parts"],
        "properties": {"role": _TEXT, "name": _TEXT, "parts": {"type": "array", "items": PART}, "finish_reason": False},
    },
}
_TEXT_PART = {"required": ["type", "content"], "properties": {"type": {"const": "text"}, "content": _TEXT}}
SCHEMAS = {
    semconv.INPUT_MESSAGES: MESSAGES,
    semconv.OUTPUT_MESSAGES: MESSAGES,
    semconv.SYSTEM_INSTRUCTIONS: {"type": "array", "items": {"type": "object", **_TEXT_PART}},
    semconv.TOOL_DEFINITIONS: {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["type", "name"],
            "properties": {"type": _TEXT, "name": _TEXT, "description": _TEXT, "parameters": {"type": "object"}},
        },
    },
    semconv.RETRIEVAL_DOCUMENTS: {
        "type": "array",
        "items": {"type": "object", "properties": {"id": _TEXT, "score": {"type": ["number", "null"]}}},
    },
    semconv.MEMORY_RECORDS: {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["content"],
            "properties": {"id": _TEXT, "score": {"type": ["number", "null"]}},
        },
    },
    semconv.TOOL_CALL_ARGUMENTS: {"type": "object"},
    semconv.TOOL_CALL_RESULT: {"type": "object"},
}


def decoded(attributes):
    """The content among the attributes of a span, as JSON values; every one must fit its schema."""
    found = {}
    for name, value in attributes.items():
        if name in SCHEMAS:
            found[name] = json.loads(value)
            Draft7Validator(SCHEMAS[name]).validate(found[name])
        elif name in (semconv.RETRIEVAL_QUERY_TEXT, semconv.MEMORY_QUERY_TEXT) or name.startswith(
            semconv.PROMPT_VARIABLE_PREFIX
        ):
            found[name] = value
    return found

"""What is wrong with one value, one set of attributes, one scope: the rules that spans, metrics and logs share."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import content_shapes
from span_table import ATTRIBUTION, Attribute

_SCOPE = ("langmeter", version("langmeter"))
_ERROR_TYPE = re.compile(r"(_OTHER|\w+(\.[\w<>]+)*)\Z")


def scope_faults(scope: Any) -> Iterator[str]:
    if scope is None or (scope.name, scope.version) != _SCOPE:
        yield f"scope {scope!r}"
    elif scope.schema_url:
        yield f"a schema URL on the scope: {scope.schema_url}"


def must_be_there(rule: Attribute, attributes: Mapping[str, Any], *, failed: bool) -> bool:
    return (
        rule.level == "required"
        or (rule.level == "expected" and not failed)
        or (rule.level == "located" and "server.address" in attributes)
    )


def value_faults(name: str, value: Any, rule: Attribute, provider: object) -> Iterator[str]:
    if rule.providers and provider not in rule.providers:
        yield f"{name} next to the provider {provider!r}"
    if rule.type == "content":
        yield from _content(name, value)
    elif not has_type(value, rule.type):
        yield f"{name} is no {rule.type}: {value!r:.80}"
    elif rule.values:
        for part in value if rule.type == "string[]" else (value,):
            if part not in rule.values:
                yield f"{name} has a value that is not in its list: {part!r}"
    if name == "error.type" and not _ERROR_TYPE.match(str(value)):
        yield f"error.type is no name of a class: {value!r:.80}"


def has_type(value: Any, expected: str) -> bool:
    if expected == "string[]":
        return isinstance(value, tuple) and bool(value) and all(isinstance(text, str) and text for text in value)
    if expected in {"string", "text"}:
        return isinstance(value, str) and bool(value)
    # An int is no double, and a bool no int: back ends type a column by the first value that they see.
    return type(value) is {"int": int, "double": float, "boolean": bool}[expected]


def _content(name: str, value: Any) -> Iterator[str]:
    try:
        structured = json.loads(value)
    except (TypeError, ValueError):
        yield f"{name} is no JSON text: {value!r:.80}"
        return
    for fault in content_shapes.violations(name, structured):
        yield f"{name}: {fault}"


def attribution_faults(
    attributes: Mapping[str, Any], expected: Mapping[str, str], allowed: frozenset[str]
) -> Iterator[str]:
    for key, value in expected.items():
        if attributes.get(ATTRIBUTION + key) != value:
            yield f"{ATTRIBUTION}{key} should be {value!r}"
    for name in attributes:
        if name.startswith(ATTRIBUTION) and name.removeprefix(ATTRIBUTION) not in allowed:
            yield f"{name} was not asked for"
